#!/usr/bin/env bash
# Makes sure that cargo-deny is at hand: .tools/bin/cargo-deny first, then one on PATH, else the
# pinned version, built into .tools/ in some minutes. Says one line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

pinned=0.20.2
ours=.tools/bin/cargo-deny

version_of() { "$1" --version 2>/dev/null | sed -n 's/^cargo-deny //p' || true; }

if [[ $(version_of "$ours") == "$pinned" ]]; then
    echo "cargo-deny $pinned ($ours)"
    exit
fi
found=$(version_of cargo-deny)
if [[ ! -e $ours && -n $found ]]; then
    echo "cargo-deny $found ($(command -v cargo-deny))"
    exit
fi
echo "Building cargo-deny $pinned into .tools/ ..."
# Without what nobody here asks it for: it needs no git and no network for what `make lint` checks.
if ! said=$(cargo install --quiet --locked --root .tools --no-track --force "cargo-deny@$pinned" 2>&1); then
    {
        echo "make tools: cargo-deny $pinned cannot be built: ${said##*$'\n'}"
        echo "  next: cargo install --locked cargo-deny"
    } >&2
    exit 1
fi
echo "cargo-deny $pinned ($ours)"
