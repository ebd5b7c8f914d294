#!/usr/bin/env bash
# Makes sure that the tests find PostgreSQL (its initdb): looks where they look and, as root on Debian
# or Ubuntu, installs the package. Exits with 1 when it cannot be had; those tests are skipped then, but
# fail where CI is set.
set -euo pipefail

find_initdb() {
    command -v initdb && return
    local candidate
    for candidate in /usr/lib/postgresql/*/bin/initdb "$(pg_config --bindir 2>/dev/null)/initdb"; do
        [[ -x $candidate ]] && echo "$candidate" && return
    done
    return 1
}

report() {
    echo "PostgreSQL $("$1" --version | grep -oE '[0-9]+(\.[0-9]+)?' | head -n 1) ($1)"
}

give_up() {
    {
        echo "================================================================================"
        echo "NO POSTGRESQL: $1"
        echo "The tests that run on PostgreSQL are SKIPPED; everything else runs on SQLite."
        echo "To have them: Debian, Ubuntu: sudo apt-get install postgresql    macOS: brew install postgresql"
        echo "================================================================================"
    } >&2
    exit 1
}

if initdb=$(find_initdb); then
    report "$initdb"
    exit
fi
command -v apt-get >/dev/null || give_up "there is no initdb on PATH, and no apt-get to install it with."
((EUID == 0)) || give_up "there is no initdb, and installing it takes root."

echo "PostgreSQL: installing Debian's package postgresql (for tests only; no server is started) ..."
# The package would make and start a server on port 5432; ours come and go with each test.
no_server=/etc/postgresql-common/createcluster.d/usher-tests.conf
mkdir -p "$(dirname "$no_server")"
echo "create_main_cluster = false" >"$no_server"
trap 'rm -f "$no_server"' EXIT
log=$(mktemp)
{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postgresql; } \
    >"$log" 2>&1 </dev/null || { tail -n 5 "$log" >&2; give_up "apt-get failed (its last words are above, the rest in $log)."; }
rm -f "$log"

initdb=$(find_initdb) || give_up "the package was installed, but has no initdb where the tests look."
report "$initdb"
