#!/usr/bin/env bash
# Builds the command usher as one static, stripped binary, target/static/usher: what the image holds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

host=$(rustc --version --verbose | sed -n 's/^host: //p')
# With a --target, build scripts and macros stay as they are: they cannot be static.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --locked --release --target "$host" --package usher
mkdir -p target/static
# Not copied over one that may be running.
cp "target/$host/release/usher" target/static/usher.new
mv target/static/usher.new target/static/usher
