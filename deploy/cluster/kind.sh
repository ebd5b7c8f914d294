# A cluster by kind: nodes are containers of Docker.
# shellcheck shell=bash

kind_exists() { kind get clusters 2>/dev/null | grep -qxF "$name"; }

# The nodes carry the mark from their first moment: no cluster of ours is ever without.
kind_create() {
    local before flags=()
    before=$(kubectl config current-context 2>/dev/null || true)
    [ -z "$KIND_IMAGE" ] || flags+=(--image "$KIND_IMAGE")
    kind_config >"$state/kind.yaml"
    visibly last_words kind create cluster --name "$name" --config "$state/kind.yaml" --wait 120s ${flags[@]+"${flags[@]}"} ||
        failed "kind could not make the cluster $name" "make up begins it anew"
    # kind switches to its new cluster; whoever was elsewhere stays there.
    [ -z "$before" ] || kubectl config use-context "$before" >>"$log" 2>&1 || true
}

kind_config() {
    if [ -n "$KIND_CONFIG" ]; then
        cat "$KIND_CONFIG"
    else
        printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n  - role: control-plane\n    labels:\n      %s\n' \
            "${made_by/=/: }"
    fi
}

# What was interrupted while it was made is of no use to kind.
kind_repair() {
    visibly last_words kind delete cluster --name "$name" || failed "kind could not delete the half-made cluster $name" "make up tries again"
    kind_create
}

# After a restart of Docker.
kind_wake() { kind get nodes --name "$name" | xargs docker start >>"$log" 2>&1; }
kind_connect() { kind get kubeconfig --name "$name" >"$state/kubeconfig" 2>>"$log"; }
kind_delete() { visibly last_words kind delete cluster --name "$name"; }

kind_has_image() {
    local node
    for node in $(kind get nodes --name "$name" 2>/dev/null); do
        docker exec "$node" ctr --namespace k8s.io images list -q "name==$(full_name "$1")" 2>/dev/null | grep -q . || return 1
    done
}
kind_load() { kind load docker-image --name "$name" "$@"; }
