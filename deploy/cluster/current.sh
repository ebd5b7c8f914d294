# A cluster that was there before, behind the context that CONTEXT names. Only a namespace is made in it.
# shellcheck shell=bash

# Images reach a cluster of kind or minikube from this machine; every other one pulls them.
current_kind_of() {
    case $CONTEXT in
        kind-*) ! command -v kind >/dev/null || { kind get clusters 2>/dev/null | grep -qxF "${CONTEXT#kind-}" && echo kind; } ;;
        docker-desktop) echo docker ;;
        *) ! command -v minikube >/dev/null || { name=$CONTEXT minikube_exists && echo minikube; } ;;
    esac
}

current_has_image() {
    case $(current_kind_of) in
        kind) name=${CONTEXT#kind-} kind_has_image "$1" ;;
        minikube) name=$CONTEXT minikube_has_image "$1" ;;
    esac
}
current_load() {
    case $(current_kind_of) in
        kind) name=${CONTEXT#kind-} kind_load "$@" ;;
        minikube) name=$CONTEXT minikube_load "$@" ;;
    esac
}

current_needs_pulling() { [ "$CLUSTER" = current ] && [ -z "$(current_kind_of)" ]; }
