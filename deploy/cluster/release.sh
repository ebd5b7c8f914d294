# The release: the chart with the values for a machine of one's own.
# shellcheck shell=bash

# image_values PREFIX IMAGE: what makes the chart use this image.
image_values() {
    local tag=
    case $2 in
        *@*) printf '%s\n' --set-string "$1.repository=${2%@*}" --set-string "$1.digest=${2#*@}" ;;
        *)
            tag=${2##*/}
            case $tag in *:*) tag=${tag#*:} ;; *) tag=latest ;; esac
            printf '%s\n' --set-string "$1.repository=${2%:"$tag"}" --set-string "$1.tag=$tag"
            ;;
    esac
}

release_values() {
    printf '%s\n' --values "$chart_folder/values-local.yaml" ${VALUES:+--values "$VALUES"}
    image_values image "$image"
    [ -z "$IMAGE_NATS" ] || image_values nats.image "$IMAGE_NATS"
    [ -z "$IMAGE_POSTGRES" ] || image_values postgres.image "$IMAGE_POSTGRES"
    [ -z "$IMAGE_JAEGER" ] || image_values jaeger.image "$IMAGE_JAEGER"
}

install_release() {
    local began=$SECONDS values=() value
    ensure_namespace
    forget_interrupted
    while IFS= read -r value; do values+=("$value"); done < <(release_values)
    visibly pods_ready chart upgrade --install "$release" "$chart_folder" "${values[@]}" --wait --timeout "$WAIT" || {
        settle
        why_not_ready
        failed "the release is not ready" "mend what stands above, then make up"
    }
    good "$release is installed and ready after $((SECONDS - began)) s: $(pods_ready)"
}

# Helm refuses to go on where it was ended in the middle. What it wrote of that turn is deleted, and nothing else.
forget_interrupted() {
    in_namespace delete secret --selector "owner=helm,name=$release,status in (pending-install,pending-upgrade,pending-rollback)" >>"$log" 2>&1 ||
        give_up "$context does not answer any more: see kubectl --context $context get nodes"
}

# Jobs that are done are no pods to wait for.
pod_list() {
    in_namespace get pods --selector "app.kubernetes.io/instance=$release" --field-selector 'status.phase!=Succeeded' --no-headers \
        --output 'custom-columns=NAME:.metadata.name,READY:.status.conditions[?(@.type=="Ready")].status' 2>/dev/null
}

pods_ready() {
    pod_list | awk '
        $2 == "True" { ready++; next }
        { waiting = waiting ", " $1 }
        END { printf "%d of %d pods are ready%s\n", ready, NR, waiting ? ": waiting for " substr(waiting, 3) : "" }'
}

# For each pod that is not ready: why Kubernetes does not start it, or the last line that it wrote.
why_not_ready() {
    local pod reason
    for pod in $(pod_list | awk '$2 != "True" { print $1 }'); do
        reason=$(in_namespace get pod "$pod" --output 'jsonpath={range .status.initContainerStatuses[*]}{.state.waiting.message}{end}{range .status.containerStatuses[*]}{.state.waiting.message}{end}' 2>>"$log" || true)
        [ -n "$reason" ] || reason=$(in_namespace logs "$pod" --all-containers --tail 1 2>>"$log" | tail -n 1 || true)
        [ -n "$reason" ] || reason=$(in_namespace get events --field-selector "involvedObject.name=$pod" --output 'jsonpath={.items[-1:].message}' 2>>"$log" || true)
        printf '    %s: %s\n' "$pod" "$reason" >&2
    done
}

test_release() {
    local began=$SECONDS
    visibly last_words chart test "$release" --logs --timeout 2m || {
        why_not_ready
        failed "helm test failed" "make logs shows what the services say"
    }
    good "helm test passed in $((SECONDS - began)) s"
}
