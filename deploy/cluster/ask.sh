# Looking into what runs: logs, traces, databases, the broker, mails.
# shellcheck shell=bash

require_release() {
    require_tools kubectl="$kubectl_home"
    require_context
    mkdir -p "$state"
    [ "$CLUSTER" != kind ] || [ -s "$state/kubeconfig" ] || kind_connect || true
    in_namespace get deployment usher-accounts --output name >/dev/null 2>>"$log" ||
        give_up "no release runs in namespace $NAMESPACE of $context: make up"
}

# A terminal is handed on where there is one.
enter() {
    if [ -t 0 ] && [ -t 1 ]; then in_namespace exec --stdin --tty "$@"; else in_namespace exec --stdin "$@"; fi
}

# SERVICE=mailer shows one part, SINCE=10m what is older, FOLLOW=0 ends at once.
show_logs() {
    require_release
    local flags=(--selector "app.kubernetes.io/instance=$release${SERVICE:+,app.kubernetes.io/component=$SERVICE}"
        --all-containers --prefix --max-log-requests 50 --ignore-errors)
    [ "${FOLLOW:-1}" = 0 ] || flags+=(--follow)
    if [ -n "${SINCE:-}" ]; then flags+=(--since "$SINCE" --tail -1); else flags+=(--tail 20); fi
    in_namespace logs "${flags[@]}"
}

show_trace() {
    [ -n "${ID:-}" ] || give_up "which one? make trace ID=… takes a trace (make up and the header traceresponse tell it), or an account"
    require_release
    if keeper >/dev/null; then as smoke trace show "$ID" --wait 30s | on_this_machine; else as smoke trace show "$ID" --wait 30s; fi
}

# SERVICE=verification shows another one's database, SQL='select …' asks one question.
show_psql() {
    require_release
    local service=${SERVICE:-accounts}
    enter statefulset/usher-postgres --container postgres -- psql --dbname "$service" ${SQL:+--command "$SQL"}
}

show_nats() {
    require_release
    as migrations nats status || exit 1
}

# TO=ada@example.com shows the mails of one person.
show_mailbox() {
    require_release
    enter statefulset/usher-mailbox --container mailbox -- /usher mailbox list --mailbox-url http://127.0.0.1:8025 ${TO:+--to "$TO"}
    ! keeper >/dev/null || printf 'http://127.0.0.1:%s shows them\n' "$PORT_MAILBOX"
}
