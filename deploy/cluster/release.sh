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
    [ -z "$IMAGE_POSTGRES" ] || image_values database.bundled.image "$IMAGE_POSTGRES"
    [ -z "$IMAGE_JAEGER" ] || image_values jaeger.image "$IMAGE_JAEGER"
}

install_release() {
    local began=$SECONDS values=() value
    ensure_namespace
    forget_interrupted
    while IFS= read -r value; do values+=("$value"); done < <(release_values)
    visibly pods_ready chart upgrade --install "$release" "$chart_folder" "${values[@]}" --wait --wait-for-jobs --timeout "$WAIT" || {
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

# A line for each pod: its name, its part, whether it is ready. Jobs that are done are no pods to wait for.
pod_list() {
    in_namespace get pods --selector "app.kubernetes.io/instance=$release,app.kubernetes.io/component!=smoke" \
        --field-selector 'status.phase!=Succeeded' --no-headers --output \
        'custom-columns=A:.metadata.name,B:.metadata.labels.app\.kubernetes\.io/component,C:.status.conditions[?(@.type=="Ready")].status' 2>>"$log"
}

pods_ready() {
    pod_list | awk '
        $3 == "True" { ready++; next }
        { waiting = waiting ", " $2 }
        END { printf "%d of %d pods are ready%s\n", ready, NR, waiting ? ", not yet: " substr(waiting, 3) : "" }'
}

# For each pod that is not ready: why Kubernetes does not start it, or what it says itself.
why_not_ready() {
    local pod
    for pod in $(pod_list | awk '$3 != "True" { print $1 }'); do
        printf '    %s: %s\n' "$pod" "$(reason_of "$pod")" >&2
    done
}

reason_of() {
    local pod=$1 reason
    local states='{range .status.initContainerStatuses[*]}{.state.waiting.reason}: {.state.waiting.message}{"\n"}{end}'
    states="$states${states//initContainerStatuses/containerStatuses}"
    # A container that is started again and again says itself why.
    reason=$(in_namespace get pod "$pod" --output "jsonpath=$states" 2>>"$log" |
        grep -v -e '^: $' -e '^CrashLoopBackOff' -e '^PodInitializing' -e '^ContainerCreating' | head -n 1 || true)
    [ -n "$reason" ] || reason=$(in_namespace logs "$pod" --all-containers --tail 5 2>/dev/null | own_reason)
    [ -n "$reason" ] || reason=$(in_namespace get events --field-selector "involvedObject.name=$pod,type=Warning" \
        --output 'jsonpath={.items[-1:].message}' 2>>"$log" || true)
    echo "${reason:-it has not said why}"
}

# The last line that tells of an error, else the last one.
own_reason() { awk 'NF { last = $0 } tolower($0) ~ /error|warn/ { told = $0 } END { print told ? told : last }'; }

test_release() {
    local began=$SECONDS
    visibly last_words chart test "$release" --logs --timeout 2m || {
        why_not_ready
        failed "helm test failed" "make logs shows what the services say"
    }
    good "helm test passed in $((SECONDS - began)) s"
}
