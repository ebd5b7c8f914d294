#!/usr/bin/env bash
# Builds `usher` with its fail points, places at which a test lets it die, and prints where it is. No
# other build has them. What it is made of comes from the same folder as every other build's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
CARGO_BUILD_BUILD_DIR=$target CARGO_TARGET_DIR=$target/failpoints \
    cargo build --quiet --locked --package usher --features failpoints >&2
echo "$target/failpoints/debug/usher"
