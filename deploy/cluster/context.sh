# Which cluster is touched: one that `make up` made, which its mark tells, or the context that the user names.
# shellcheck shell=bash

require_context() {
    case $CLUSTER in
        kind | minikube)
            [ -z "$CONTEXT" ] ||
                give_up "CONTEXT=$CONTEXT goes with CLUSTER=current; without it make $command uses its own cluster, $context"
            ;;
        current)
            [ -n "$CONTEXT" ] ||
                give_up "CLUSTER=current needs CONTEXT=NAME, one of: $(kubectl config get-contexts --output name | tr '\n' ' ')"
            kubectl config get-contexts --output name | grep -qxF "$CONTEXT" ||
                give_up "there is no context $CONTEXT; there are: $(kubectl config get-contexts --output name | tr '\n' ' ')"
            ;;
    esac
}

answers() { kube get --raw /readyz --request-timeout 5s >>"$log" 2>&1; }
await_answer() {
    local left
    for left in $(seq 30 -1 0); do
        ! answers || return 0
        under_way "waiting for $context to answer ($left)"
        sleep 1
    done
    return 1
}

is_marked() { [ -n "$(kube get nodes --selector "$made_by" --output name 2>>"$log")" ]; }
has_nodes() { [ -n "$(kube get nodes --output name 2>>"$log")" ]; }
is_half_made() { [ "$(cat "$state/made" 2>/dev/null)" = half ]; }

not_ours() {
    case $CLUSTER in
        kind) give_up "the kind cluster $name was made by somebody else: take another name (KIND_CLUSTER_NAME=other), or use it as it is (CLUSTER=current CONTEXT=$context)" ;;
        minikube) give_up "the minikube profile $name was made by somebody else: take another name (MINIKUBE_PROFILE=other), or use it as it is (CLUSTER=current CONTEXT=$context)" ;;
    esac
}

# Makes the cluster, or goes on with the one of last time.
ensure_cluster() {
    local began=$SECONDS
    if [ "$CLUSTER" = current ]; then
        answers || give_up "$context does not answer: see kubectl --context $context get nodes"
        good "$context answers"
        return
    fi
    if ! "${CLUSTER}_exists"; then
        make_cluster create
        good "$context made in $((SECONDS - began)) s"
    elif is_half_made && ! is_foreign; then
        make_cluster repair
        good "$context was half made; made in $((SECONDS - began)) s"
    else
        reuse_cluster
        good "$context is there already"
    fi
}

make_cluster() {
    echo half >"$state/made"
    "${CLUSTER}_$1"
    "${CLUSTER}_connect"
    [ -z "$KIND_CONFIG" ] || kube label nodes --all --overwrite "$made_by" >>"$log" 2>&1
    await_answer || give_up "$context was made and does not answer; make down and make up begin anew"
    echo whole >"$state/made"
}

# Somebody may have made one by this name, since ours was interrupted: it has nodes, without the mark.
is_foreign() { "${CLUSTER}_connect" 2>/dev/null && answers && has_nodes && ! is_marked; }

reuse_cluster() {
    "${CLUSTER}_connect" || true
    if ! answers; then
        [ -e "$state/made" ] || not_ours
        under_way "waking $context"
        "${CLUSTER}_wake" || true
        "${CLUSTER}_connect" || true
        await_answer || give_up "$context does not answer; make down deletes it and make up makes it anew"
    fi
    is_marked || not_ours
}

# The namespace is made by us, or it is not used.
ensure_namespace() {
    local labels
    labels=$(kube get namespace "$NAMESPACE" --ignore-not-found --output 'jsonpath={.metadata.name} {.metadata.labels} {.status.phase}' 2>>"$log")
    case $labels in
        '' | ' ' | '  ') make_namespace ;;
        *Terminating*)
            under_way "waiting for the old namespace $NAMESPACE to be gone"
            kube wait --for=delete "namespace/$NAMESPACE" --timeout 120s >>"$log" 2>&1 ||
                give_up "the old namespace $NAMESPACE does not go away; see kubectl --context $context get namespace $NAMESPACE -o yaml"
            settle
            make_namespace
            ;;
        *"${made_by%%=*}"*) ;;
        *) give_up "the namespace $NAMESPACE of $context was there before make up: choose another one, NAMESPACE=other" ;;
    esac
}

# Pod Security refuses in it whatever is not restricted.
make_namespace() {
    printf '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"%s","labels":{"%s":"%s","pod-security.kubernetes.io/enforce":"restricted"}}}' \
        "$NAMESPACE" "${made_by%%=*}" "${made_by#*=}" | kube create --filename - >>"$log" 2>&1 ||
        give_up "the namespace $NAMESPACE cannot be made in $context: $(tail -n 1 "$log")"
}
