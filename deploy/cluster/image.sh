# The image of usher: named by what it is made of, so that nothing is built or loaded twice.
# shellcheck shell=bash

image_sources=(Cargo.toml Cargo.lock rust-toolchain.toml .dockerignore proto services load-tests/Cargo.toml
    deploy/Dockerfile deploy/image.sh deploy/static.sh ':(exclude)services/*/tests' ':(exclude)services/*/fuzz')

sha256=(sha256sum)
command -v sha256sum >/dev/null || sha256=(shasum -a 256)

# A name for what will be in the image: the hash of its sources, or of the binary that BINARY names.
content_hash() {
    if [ -n "$BINARY" ]; then
        "${sha256[@]}" "$BINARY" deploy/Dockerfile
    else
        git ls-files -z --cached --others --exclude-standard -- "${image_sources[@]}" |
            while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done | xargs -0 "${sha256[@]}"
    fi | "${sha256[@]}" | cut -c 1-12
}

# As containerd knows it: with the registry that is meant when none is named.
full_name() {
    case $1 in
        *.*/* | *:*/* | localhost/*) echo "$1" ;;
        */*) echo "docker.io/$1" ;;
        *) echo "docker.io/library/$1" ;;
    esac
}

docker_has() { docker image inspect "$1" >/dev/null 2>&1; }

ensure_image() {
    local began=$SECONDS
    if [ -n "$IMAGE" ]; then
        image=$IMAGE
        good "$image, as IMAGE says"
    elif current_needs_pulling; then
        give_up "the cluster of $CONTEXT pulls its images: push ours (make image IMAGE=registry.example/usher:1; docker push …) and name it, IMAGE=registry.example/usher:1"
    else
        [ -n "$BINARY" ] || git rev-parse >>"$log" 2>&1 || give_up "this folder is no git checkout, so what the image is made of is not known; git clone it, or name an image, IMAGE="
        image=usher:$(content_hash)
        if docker_has "$image"; then
            good "$image is built already"
        else
            require_tools docker="$docker_home"
            visibly last_words make image IMAGE="$image" ${PREBUILT:+PREBUILT="$PREBUILT"} ${BINARY:+BINARY="$BINARY"} ||
                failed "the image could not be built" "make image IMAGE=$image shows it alone"
            good "$image built in $((SECONDS - began)) s"
        fi
    fi
    load_images
}

# What Docker has here and the cluster has not; other images the cluster pulls itself.
load_images() {
    local began=$SECONDS wanted missing=()
    [ "$CLUSTER" != current ] || [ -n "$(current_kind_of)" ] || return 0
    for wanted in "$image" ${IMAGE_NATS:+"$IMAGE_NATS"} ${IMAGE_POSTGRES:+"$IMAGE_POSTGRES"} ${IMAGE_JAEGER:+"$IMAGE_JAEGER"}; do
        "${CLUSTER}_has_image" "$wanted" || ! docker_has "$wanted" || missing+=("$wanted")
    done
    if ((${#missing[@]} == 0)); then
        good "the cluster has it already"
        return
    fi
    visibly loading "${CLUSTER}_load" "${missing[@]}" || failed "the cluster did not take ${missing[*]}" "make up tries again"
    good "loaded into the cluster in $((SECONDS - began)) s"
}
loading() { echo "loading ${missing[*]} into the cluster"; }
