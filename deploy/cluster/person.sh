# A person signs up by gRPC, and her trace is shown. The image that is there does it: this machine needs no usher.
# shellcheck shell=bash

# as COMPONENT ARGUMENTS: runs usher in a pod of its own, which may talk to whom that part of the chart may talk to, and
# prints what it says.
as() {
    local pod=$release-command-$$-$RANDOM image told='' status=1 left
    image=$(in_namespace get deployment usher-accounts --output 'jsonpath={.spec.template.spec.containers[0].image}') || return
    pod_of "$pod" "$image" "$@" | in_namespace create --filename - >>"$log" 2>&1 || return
    for left in $(seq 300 -1 0); do
        told=$(in_namespace get pod "$pod" --output 'jsonpath={.status.phase} {.status.containerStatuses[0].restartCount}' 2>>"$log") || true
        case $told in
            Succeeded*) status=0 && break ;;
            *' '[3-9]) break ;;
        esac
        sleep 0.2
    done
    in_namespace logs "$pod" 2>>"$log" || true
    in_namespace delete pod "$pod" --wait=false >>"$log" 2>&1 || true
    return "$status"
}

# A pod that fails is tried again: where network policies are enforced, it has no network in its first moments.
pod_of() {
    local pod=$1 image=$2 component=$3
    shift 3
    cat <<JSON
{"apiVersion": "v1", "kind": "Pod",
 "metadata": {"name": "$pod", "labels": {"app.kubernetes.io/name": "usher", "app.kubernetes.io/instance": "$release",
   "app.kubernetes.io/component": "$component"}},
 "spec": {"restartPolicy": "OnFailure", "automountServiceAccountToken": false, "enableServiceLinks": false,
  "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
  "containers": [{"name": "usher", "image": "$image", "args": $(json_strings "$@"),
    "env": [
      {"name": "USHER_ACCOUNTS_URL", "value": "http://usher-accounts:50051"},
      {"name": "USHER_VERIFICATION_URL", "value": "http://usher-verification:50052"},
      {"name": "USHER_JAEGER_URL", "value": "http://usher-jaeger:16686"},
      {"name": "USHER_NATS_URL", "value": "nats://usher-nats:4222"},
      {"name": "USHER_NATS_CREDENTIALS", "value": "/etc/usher/nats-seed"}],
    "volumeMounts": [{"name": "login", "mountPath": "/etc/usher", "readOnly": true}],
    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
      "capabilities": {"drop": ["ALL"]}}}],
  "volumes": [{"name": "login", "secret": $(login_of "$component")}]}}
JSON
}

# The operator's login at the broker, for whoever may talk to it.
login_of() {
    case $1 in
        migrations) echo '{"secretName": "usher-operator", "defaultMode": 288}' ;;
        *) echo '{"secretName": "usher-none", "optional": true}' ;;
    esac
}

json_strings() {
    local word text=
    for word in "$@"; do
        word=${word//\\/\\\\}
        text="$text,\"${word//\"/\\\"}\""
    done
    printf '[%s]' "${text#,}"
}

# json_string NAME: the first string of that name in what is read.
json_string() { tr -d '\n' | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

sign_up() {
    local began=$SECONDS address answer account trace subject
    address=ada.$(date +%s)@example.com
    answer=$(as smoke account create "$address" --name 'Ada Lovelace' --idempotency-key "make-up-$address" --output json) ||
        give_up "the sign-up failed: $answer; make logs shows what the services say"
    printf '%s\n' "$answer" >>"$log"
    account=$(json_string account_id <<<"$answer")
    trace=$(json_string trace_id <<<"$answer")
    good "CreateAccount($address): PENDING  $account"
    subject=$(await_mail "$address") || give_up "no mail came to $address within 30 s; make logs shows what the services say"
    good "her mail is in the mailbox: $subject"
    good "her trace, as Jaeger has it"
    show_whole "$trace"
}

# show_whole TRACE: draws it once none of its steps is missing. The link is one for this machine.
show_whole() {
    local drawn
    drawn=$(as smoke trace show "$1" --wait 30s) || give_up "Jaeger does not tell of the trace $1: $drawn"
    case $drawn in *'Not here yet'*) give_up "after 30 s the trace is not whole: $drawn" ;; esac
    printf '\n%s\n' "$drawn" | on_this_machine
}
on_this_machine() { sed "s|http://usher-jaeger:16686|http://127.0.0.1:$PORT_JAEGER|"; }

await_mail() {
    local left answer
    for left in $(seq 60 -1 0); do
        answer=$(http_get "$PORT_MAILBOX" "/api/v1/mails?to=$1" || true)
        case $answer in
            *'"subject"'*) json_string subject <<<"$answer" && return ;;
        esac
        sleep 0.5
    done
    return 1
}

say_where() {
    good "API      127.0.0.1:$PORT_ACCOUNTS accounts, 127.0.0.1:$PORT_VERIFICATION verification (gRPC, reflection)"
    good "mailbox  http://127.0.0.1:$PORT_MAILBOX"
    good "Jaeger   http://127.0.0.1:$PORT_JAEGER"
}

say_next() {
    cat <<TEXT
  grpcurl -plaintext -d '{"email": "you@example.com", "display_name": "You"}' \\
      127.0.0.1:$PORT_ACCOUNTS usher.accounts.v1.AccountsService/CreateAccount
  make mailbox                        the mails
  make trace ID=…                     the trace of an account, or the one that grpcurl -v shows as traceresponse
  make logs                           what all parts say
  make psql, make nats                the databases, the broker
  kubectl --context $context --namespace $NAMESPACE get pods
  make down                           takes all of it away
TEXT
}
