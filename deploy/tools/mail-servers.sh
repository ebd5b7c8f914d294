#!/usr/bin/env bash
# Makes sure that the tests find three mail servers that are not ours: Postfix, Exim and OpenSMTPD, as
# Debian has them. They would displace each other where they are installed, so each is only unpacked, with
# what it needs and this machine has not, into .tools/mail-servers/; nothing is started or set up. Exits
# with 1 when they cannot be had; their tests are skipped then, but fail where CI is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

ours=.tools/mail-servers
packages=(postfix exim4-daemon-light opensmtpd)

give_up() {
    {
        echo "================================================================================"
        echo "NO REAL MAIL SERVERS: $1"
        echo "The tests against Postfix, Exim and OpenSMTPD are SKIPPED; all others have a mail server of our own."
        echo "To have them: run make tools on Debian 12 (and the tests as root: each gets a stage of its own)."
        echo "================================================================================"
    } >&2
    exit 1
}

report() {
    printf 'mail servers:'
    for package in "${packages[@]}"; do printf ' %s %s,' "$package" "$(<"$ours/$package.version")"; done
    echo " all in $ours"
}

missing=()
for package in "${packages[@]}"; do [[ -s $ours/$package.version ]] || missing+=("$package"); done
if ((${#missing[@]} == 0)); then
    report
    exit
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || give_up "there is no apt-get to download them with."

echo "mail servers: unpacking ${missing[*]} into $ours/ (4 MB) ..."
mkdir -p "$ours"
work=$(mktemp -d "$ours/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT

# apt checks what it downloads against the distribution's signatures. `--reinstall`: also what is installed.
download() {
    mkdir -p "$work/$1/partial"
    apt-get --quiet --yes --no-install-recommends --reinstall --download-only -o Debug::NoLocking=1 \
        -o Dir::Cache::archives="$PWD/$work/$1" install "$1" >"$work/log" 2>&1 </dev/null
}

for package in "${missing[@]}"; do
    if ! download "$package"; then
        ((EUID == 0)) && apt-get update >>"$work/log" 2>&1 </dev/null && download "$package" ||
            { tail -n 5 "$work/log" >&2; give_up "apt-get could not download $package (its last words are above)."; }
    fi
    for archive in "$work/$package"/*.deb; do dpkg-deb --extract "$archive" "$work/$package.root"; done
    rm -rf "${ours:?}/$package"
    mv "$work/$package.root" "$ours/$package"
    dpkg-deb --field "$work/$package/$package"_*.deb Version >"$ours/$package.version" # last: it is whole now
done
report
