# How a command speaks: lasting lines on stdout; what is under way, and what went wrong, on stderr.
# shellcheck shell=bash

steps=0
step() {
    steps=$((steps + 1))
    printf '\n%s  %s\n' "$steps" "$1"
}
good() { printf '  ✓ %s\n' "$1"; }

# The one line: what is wrong, and what to do about it.
gave_up=
give_up() {
    gave_up=yes
    settle
    printf 'make %s: %s\n' "$command" "$1" >&2
    exit "${2:-1}"
}

# What is under way: one line that the next one replaces, or lines where no terminal reads.
under_way() {
    if [ -t 2 ]; then
        printf '\r\033[K    %.*s' $((${COLUMNS:-80} - 6)) "$1" >&2
    elif [ "$1" != "$said" ]; then
        printf '    %s\n' "$1" >&2
    fi
    said=$1
}
said=
ticker=
settle() {
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        ticker=
    fi
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

# visibly PROGRESS COMMAND…: runs the command, its words go to the log; meanwhile PROGRESS, a function, says once a
# second how far it is. The command stays in the foreground, so that Ctrl-C reaches it.
visibly() {
    local progress=$1 status=0
    shift
    printf '\n$ %s\n' "$*" >>"$log"
    : >"$state/words"
    settle
    (while sleep 1; do under_way "$($progress)"; done) &
    ticker=$!
    "$@" >"$state/words" 2>&1 </dev/null || status=$?
    settle
    cat "$state/words" >>"$log"
    return "$status"
}

# The last line that the command has written so far.
last_words() { tr '\r' '\n' <"$state/words" | grep -v '^ *$' | tail -n 1 || true; }

# failed WHAT NEXT: ends with the command's last words and one line, which knows the causes that people meet.
failed() {
    local words
    settle
    tr '\r' '\n' <"$state/words" | grep -v '^ *$' | tail -n 12 | sed 's/^/    /' >&2 || true
    words=$(cat "$state/words")
    case $words in
        *'no space left on device'* | *'No space left on device'*) disk_is_full ;;
        *'failed to lock config file'*) give_up "$1: a kubeconfig is locked by a program that was ended; delete ${KUBECONFIG:-$HOME/.kube/config}.lock, then make $command" ;;
        *'Cannot connect to the Docker daemon'*) give_up "$1: Docker went away; start it, then make $command" ;;
        *) give_up "$1; $2 (everything it said: $(short "$log"))" ;;
    esac
}

disk_is_full() {
    give_up "the disk is full: free ${DISK_MB} MB where Docker keeps its images (docker system prune), then make $command"
}

# Whether the process is this program: its number alone may be another one's by now.
lives() { ps -o args= -p "$1" 2>/dev/null | grep -qF "$2"; }

# A path as one would type it from this folder.
short() { printf %s "${1#"$root"/}"; }

# A command may be interrupted while its output goes elsewhere: what is said then goes where it began.
exec 9>&2
interrupted() {
    trap - INT TERM
    gave_up=yes
    settle
    printf '\nmake %s: interrupted. `make %s` goes on from here.\n' "$command" "$command" >&9
    exit 130
}
