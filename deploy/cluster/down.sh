# Taking away what `make up` made, and nothing else.
# shellcheck shell=bash

remove_cluster() {
    local began=$SECONDS
    if ! "${CLUSTER}_exists"; then
        good "there is no $context"
        return
    fi
    "${CLUSTER}_connect" 2>/dev/null || true
    if answers; then
        is_marked || { is_half_made && ! has_nodes; } || not_ours_to_end
    else
        [ -e "$state/made" ] || not_ours_to_end
    fi
    "${CLUSTER}_delete" || failed "$context could not be deleted" "make down tries again"
    good "$context is deleted, with all that was in it ($((SECONDS - began)) s)"
}

not_ours_to_end() { give_up "$context was made by somebody else, so it stays: ${CLUSTER} delete, if that is meant"; }

remove_release() {
    local labels
    labels=$(kube get namespace "$NAMESPACE" --ignore-not-found --output 'jsonpath={.metadata.name} {.metadata.labels}' 2>>"$log") ||
        give_up "$context does not answer: see kubectl --context $context get nodes"
    case $labels in
        '' | ' ') good "there is no namespace $NAMESPACE in $context" ;;
        *"${made_by%%=*}"*)
            chart uninstall "$release" --ignore-not-found --wait >>"$log" 2>&1 || true
            visibly last_words kube delete namespace "$NAMESPACE" --ignore-not-found --timeout 120s ||
                failed "the namespace $NAMESPACE does not go away" "make down tries again"
            good "the release and the namespace $NAMESPACE are gone; $context is as it was"
            ;;
        *) give_up "the namespace $NAMESPACE of $context was there before make up, so it stays" ;;
    esac
}
