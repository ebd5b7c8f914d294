# Ports of this machine that lead into the cluster, kept by a program in the background.
# shellcheck shell=bash

forwards() {
    printf '%s\n' "$PORT_ACCOUNTS:usher-accounts:50051" "$PORT_VERIFICATION:usher-verification:50052" \
        "$PORT_MAILBOX:usher-mailbox:8025" "$PORT_JAEGER:usher-jaeger:16686"
}

# The program of this state folder that keeps the ports, if it lives.
keeper() {
    local pid
    pid=$(cat "$state/forward.pid" 2>/dev/null) || return 1
    lives "$pid" "keep-forwarding.sh $state" || return 1
    echo "$pid"
}

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Before anything is made: a port that another program has.
require_ports() {
    local name port
    [ "$(cat "$state/forwards" 2>/dev/null)" != "$(forwards)" ] || ! keeper >/dev/null || return 0
    stop_forwarding
    for name in PORT_ACCOUNTS PORT_VERIFICATION PORT_MAILBOX PORT_JAEGER; do
        port=${!name}
        ! is_taken "$port" ||
            give_up "port $port is taken by another program (such as usher up, or another cluster's make up): end it, or choose another one, $name=$((port + 10000))"
    done
}

# A group of processes of its own, so that Ctrl-C and the end of the terminal leave it alone.
start_forwarding() {
    if ! keeper >/dev/null; then
        rm -f "$state/forward.pid"
        forwards >"$state/forwards"
        (
            set -m
            # shellcheck disable=SC2046 # forwards are words
            nohup bash "$here/keep-forwarding.sh" "$state" $(forwards) -- kubectl "${kubectl_flags[@]}" --namespace "$NAMESPACE" \
                >"$state/forward.log" 2>&1 </dev/null 9>&- &
        )
    fi
    await_ports || give_up "the ports do not lead into the cluster; $(short "$state/forward.log") says why"
}

stop_forwarding() {
    local pid
    ! pid=$(keeper) || kill -TERM -- "-$pid" 2>/dev/null || true
    rm -f "$state/forward.pid" "$state/forwards"
}

await_ports() {
    local left
    for left in $(seq 150 -1 0); do
        if speaks_http2 "$PORT_ACCOUNTS" && speaks_http2 "$PORT_VERIFICATION" && speaks_http "$PORT_MAILBOX" /livez && speaks_http "$PORT_JAEGER" /api/v3/services; then
            settle
            return 0
        fi
        under_way "waiting for the ports to lead into the cluster"
        sleep 0.2
    done
    settle
    return 1
}

# 200 of an HTTP server behind the port.
speaks_http() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
        read -r -t 5 status <&3
        case $status in *' 200'*) ;; *) exit 1 ;; esac
    ) 2>/dev/null
}

# A gRPC server greets who greets it, and its greeting begins with a zero, which no other server's does.
speaks_http2() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0' >&3
        read -r -t 5 -d '' <&3
    ) 2>/dev/null
}

# http_get PORT PATH: the body.
http_get() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
        tr -d '\0' <&3 | sed '1,/^\r*$/d'
    ) 2>/dev/null
}
