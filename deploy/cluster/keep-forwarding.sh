#!/usr/bin/env bash
# keep-forwarding.sh FOLDER PORT:SERVICE:PORT… -- KUBECTL…
# Forwards ports into the cluster, and again whenever a pod goes. Ends when it is told to, when FOLDER's forward.pid
# is not its own any more, or when a port could not be forwarded for a quarter of an hour.
set -u
folder=$1
shift
forwards=()
while [ "$1" != -- ]; do
    forwards+=("$1")
    shift
done
shift

echo $$ >"$folder/forward.pid"
trap 'trap - TERM; kill -TERM 0' TERM INT HUP

is_wanted() { [ "$(cat "$folder/forward.pid" 2>/dev/null)" = $$ ]; }

keep() {
    local port=$1 service=$2 to=$3 began failures=0
    shift 3
    while is_wanted && ((failures < 90)); do
        began=$SECONDS
        "$@" port-forward --address 127.0.0.1 "service/$service" "$port:$to" >/dev/null
        # A pod that went is replaced in a moment; what fails at once is tried more slowly.
        if ((SECONDS - began > 5)); then failures=0; else failures=$((failures + 1)); fi
        sleep $((failures < 10 ? 1 : 10))
    done
}

for forward in "${forwards[@]}"; do
    # shellcheck disable=SC2086 # three words
    keep ${forward//:/ } "$@" &
done
while sleep 5; do
    is_wanted && [ -n "$(jobs -r)" ] || kill -TERM $$
done
