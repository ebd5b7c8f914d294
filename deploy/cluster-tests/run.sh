#!/usr/bin/env bash
# make test-cluster: makes clusters of kind's, one of one node and one of three, and tries the release on them.
# TESTS='test_1*' runs some.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

here=deploy/cluster-tests
export HELM=${HELM:-helm} IMAGE=${IMAGE:-} PYTHONDONTWRITEBYTECODE=1

why=$(cd $here && python3 -c 'import cluster; print(cluster.why_none() or "")')
if [ -n "$why" ]; then
    echo "skipped: make test-cluster found no cluster to try the release on: $why" >&2
    exit 0
fi

cargo build --quiet --locked -p usher -p load-tests
if [ -z "$IMAGE" ]; then
    IMAGE=usher:tests
    make image IMAGE="$IMAGE" ${PREBUILT:+PREBUILT="$PREBUILT"}
fi
rm -rf target/cluster-tests
began=$SECONDS
python3 -m unittest discover --verbose --start-directory $here --pattern "${TESTS:-test_*}.py"
echo "make test-cluster took $((SECONDS - began)) s; what it saw: target/cluster-tests/report.md"
