# A cluster by minikube: a profile of its own.
# shellcheck shell=bash

minikube_exists() { minikube profile list --light --output json 2>/dev/null | grep -qF "\"Name\":\"$name\""; }

minikube_create() {
    # shellcheck disable=SC2086 # flags are words
    visibly last_words minikube start --profile "$name" --keep-context $MINIKUBE_FLAGS ||
        failed "minikube could not start the profile $name" "make up goes on with it"
    kube label nodes --all --overwrite "$made_by" >>"$log" 2>&1
}

# `minikube start` goes on with what is half made or stopped.
minikube_repair() { minikube_create; }
minikube_wake() { minikube_create; }
minikube_connect() { :; }
minikube_delete() { visibly last_words minikube delete --profile "$name"; }

minikube_has_image() { minikube --profile "$name" image ls 2>/dev/null | grep -qxF "$(full_name "$1")"; }
minikube_load() {
    local image
    for image in "$@"; do minikube --profile "$name" image load "$image" || return; done
}
