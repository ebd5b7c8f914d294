#!/bin/sh
# Before the server starts: makes the cluster of databases once, and a role and a database for each service that has none.
# Killed at any moment, it begins anew: what was not finished has no `prepared`, and no `roles`.
set -eu

make_cluster() {
    rm -rf "$PGDATA"
    initdb --pgdata "$PGDATA" --username postgres --auth-local trust --auth-host reject \
        --encoding UTF8 --locale C.UTF-8 --data-checksums >/dev/null
    # Over the network each role reaches the database of its own name, by its password.
    printf 'local all postgres trust\nhost sameuser all all scram-sha-256\n' >"$PGDATA/pg_hba.conf"
    touch "$PGDATA/prepared"
}

# Runs statements, one a line, without the server: nobody can come in meanwhile.
run() { postgres --single -D "$PGDATA" postgres; }

databases() { echo 'SELECT datname FROM pg_database' | run; }

has() { case "$2" in *"\"$1\""*) ;; *) return 1 ;; esac; }

# Which services there are, and by which password each comes in. Whoever reads the hashes has read the databases already.
wanted() { sha256sum /etc/postgres-passwords/*; }

[ -e "$PGDATA/prepared" ] || make_cluster
# A server that only starts again is not kept waiting: who signs up meanwhile waits for it.
if [ "$(wanted)" = "$(cat "$PGDATA/roles" 2>/dev/null)" ]; then
    echo "Each service has its role and its database, as before."
    exit 0
fi

there=$(databases)
for file in /etc/postgres-passwords/*; do
    role=${file##*/}
    printf "DO \$do\$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%s') THEN CREATE ROLE \"%s\" LOGIN; END IF; END \$do\$\n" \
        "$role" "$role"
    printf "ALTER ROLE \"%s\" PASSWORD '%s'\n" "$role" "$(cat "$file")"
    has "$role" "$there" || printf 'CREATE DATABASE "%s" OWNER "%s"\n' "$role" "$role"
done | run >/dev/null

there=$(databases)
for file in /etc/postgres-passwords/*; do
    has "${file##*/}" "$there" || { echo "The database ${file##*/} could not be made; the lines above say why." >&2; exit 1; }
done
wanted >"$PGDATA/roles.new"
mv "$PGDATA/roles.new" "$PGDATA/roles"
echo "Each service has its role and its database."
