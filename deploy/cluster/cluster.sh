#!/usr/bin/env bash
# cluster.sh COMMAND: Usher on Kubernetes, on this machine; `make COMMAND` calls it. Every setting is in settings.sh.
set -euo pipefail
command=${1:?}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${here%/deploy/cluster}
cd "$root"
chart_folder=helm/usher

for part in say settings tools context kind minikube current image release forward person ask down; do
    # shellcheck source=/dev/null
    . "$here/$part.sh"
done

# One command at a time: what another one is making would look half made.
lock() {
    local left
    mkdir -p "$state"
    echo $$ >"$state/lock.$$"
    for left in $(seq 10 -1 0); do
        # A link appears with its content, or not at all.
        ! ln "$state/lock.$$" "$state/lock" 2>/dev/null || break
        # One that was killed takes a moment to be gone.
        lives "$(cat "$state/lock" 2>/dev/null || echo 0)" cluster.sh || rm -f "$state/lock"
        sleep 0.1
    done
    rm -f "$state/lock.$$"
    [ "$(cat "$state/lock" 2>/dev/null)" = $$ ] ||
        give_up "another make up or make down (process $(cat "$state/lock")) is at work on $context; wait for it"
    trap ended EXIT
    trap interrupted INT TERM
}

ended() {
    local status=$?
    settle
    rm -f "$state/lock"
    [ "$status" = 0 ] || [ -n "$gave_up" ] || printf 'make %s: something failed that was not foreseen; the last lines of %s may say what\n' "$command" "$(short "$log")" >&9
}

up() {
    local began=$SECONDS
    require_all_tools
    require_context
    lock
    : >"$log"
    printf 'Usher on Kubernetes: %s, namespace %s\n' "$context" "$NAMESPACE"
    step "What it needs is here"
    require_space
    require_ports
    good "$(versions)"
    step "A cluster"
    ensure_cluster
    step "The image"
    ensure_image
    step "The release"
    install_release
    test_release
    step "Where it is"
    start_forwarding
    say_where
    step "Ada signs up"
    sign_up
    printf '\nDone in %s s. Next:\n' "$((SECONDS - began))"
    say_next
}

down() {
    case $CLUSTER in
        kind) require_tools docker="$docker_home" kind="$kind_home" kubectl="$kubectl_home" ;;
        minikube) require_tools minikube="$minikube_home" kubectl="$kubectl_home" ;;
        current) require_tools kubectl="$kubectl_home" "$HELM=$helm_home" ;;
    esac
    require_context
    lock
    : >"$log"
    stop_forwarding
    if [ "$CLUSTER" = current ]; then remove_release; else remove_cluster; fi
    trap - EXIT
    rm -rf "$state"
    rmdir "$root/.cluster" 2>/dev/null || true
}

case $command in
    up | down) "$command" ;;
    logs | trace | psql | nats | mailbox) "show_$command" ;;
    *) give_up "no such command" 2 ;;
esac
