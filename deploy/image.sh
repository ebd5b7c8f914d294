#!/usr/bin/env bash
# Makes the image IMAGE (by default usher:dev) and names it by its content, too: usher:<12 digits>,
# which is the one line on standard output. PREBUILT=1 packs the static binary that cargo builds on
# this machine; else everything is built from source in Docker.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

image=${IMAGE:-usher:dev}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
# The commit's time, not now: the same commit makes the same image.
created=$(git log -1 --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)
labels=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "CREATED=$created")

fail() {
    echo "make image: $1" >&2
    exit 1
}

command -v docker >/dev/null || fail "there is no docker on PATH; install Docker Engine (https://docs.docker.com/engine/install/)."
docker version >/dev/null 2>&1 || fail "docker is there, but its engine does not answer; start it (or set DOCKER_HOST)."

# The last stage of the Dockerfile, fed by a folder instead of the builder.
pack() {
    local folder=target/image
    [[ -n ${BINARY:-} ]] || deploy/static.sh >&2
    local binary=${BINARY:-target/static/usher}
    local authorities=/etc/ssl/certs/ca-certificates.crt
    [[ -x $binary ]] || fail "there is no executable $binary."
    [[ -r $authorities ]] || fail "there is no $authorities; install ca-certificates."
    rm -rf "$folder"
    mkdir -p "$folder/out/etc/ssl/certs"
    cp "$binary" "$folder/out/usher"
    cp --dereference "$authorities" "$folder/out/etc/ssl/certs/"
    {
        printf '%s\n' "FROM scratch AS builder" "COPY out /out"
        sed -n '/^# --- the image ---$/,$p' deploy/Dockerfile
    } >"$folder/Dockerfile"
    docker build --quiet --tag "$image" "${labels[@]}" "$folder" >/dev/null
}

if [[ -n ${PREBUILT:-} ]]; then
    pack
else
    docker build --tag "$image" "${labels[@]}" ${RUST_IMAGE:+--build-arg "RUST_IMAGE=$RUST_IMAGE"} \
        --file deploy/Dockerfile . >&2
fi
id=$(docker image inspect --format '{{.Id}}' "$image")
id=${id#sha256:}
named=${image%:*}:${id:0:12}
docker tag "$image" "$named"
size=$(docker image inspect --format '{{.Size}}' "$image")
echo "made $image, also named $named, $((size / 1000000)) MB" >&2
echo "$named"
