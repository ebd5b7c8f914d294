# What can be set, by `make up NAME=value` or by the environment, and where things are kept.
# shellcheck shell=bash disable=SC2034 # read by the files that source this one

CLUSTER=${CLUSTER:-kind}         # kind, minikube, or current: the context that CONTEXT names
CONTEXT=${CONTEXT:-}             # for CLUSTER=current only
NAMESPACE=${NAMESPACE:-usher}    # made by `make up`, ended by `make down`
KIND_IMAGE=${KIND_IMAGE:-}       # the node's image; kind's own choice without
KIND_CONFIG=${KIND_CONFIG:-}     # a configuration file of kind; one node without
MINIKUBE_FLAGS=${MINIKUBE_FLAGS:-} # more for `minikube start`, such as --memory=4g
HELM=${HELM:-helm}               # Helm 3 or 4
VALUES=${VALUES:-}               # one more values file, which wins
IMAGE=${IMAGE:-}                 # an image of usher that exists; built from this folder without
PREBUILT=${PREBUILT:-}           # 1: pack the static binary that cargo builds here, instead of building in Docker
BINARY=${BINARY:-}               # … or pack this one
[ -z "$BINARY" ] || PREBUILT=1
IMAGE_NATS=${IMAGE_NATS:-}       # other images than the chart's for what is bundled
IMAGE_POSTGRES=${IMAGE_POSTGRES:-}
IMAGE_JAEGER=${IMAGE_JAEGER:-}
PORT_ACCOUNTS=${PORT_ACCOUNTS:-50051} # ports of this machine
PORT_VERIFICATION=${PORT_VERIFICATION:-50052}
PORT_MAILBOX=${PORT_MAILBOX:-8025}
PORT_JAEGER=${PORT_JAEGER:-16686}
DISK_MB=${DISK_MB:-2000}         # free space that images need
WAIT=${WAIT:-8m}                 # how long the release may take to be ready, with what the cluster pulls

release=usher
made_by=usher.local/made-by=make-up # the mark of what may be deleted

case $CLUSTER in
    kind) name=${KIND_CLUSTER_NAME:-usher} context=kind-$name ;;
    minikube) name=${MINIKUBE_PROFILE:-usher} context=$name ;;
    current) name=$CONTEXT context=$CONTEXT ;;
    *) give_up "CLUSTER=$CLUSTER is none of kind, minikube and current" ;;
esac

state=$root/.cluster/$(printf %s "${context:-none}" | tr -c 'A-Za-z0-9._-' _)
log=$state/up.log

# kubectl and helm are told where to go each time, whatever the current context is.
if [ "$CLUSTER" = kind ]; then
    kubectl_flags=(--kubeconfig "$state/kubeconfig" --context "$context")
    helm_flags=(--kubeconfig "$state/kubeconfig" --kube-context "$context")
else
    kubectl_flags=(--context "$context")
    helm_flags=(--kube-context "$context")
fi
kube() { kubectl "${kubectl_flags[@]}" "$@"; }
in_namespace() { kube --namespace "$NAMESPACE" "$@"; }
chart() { "$HELM" "${helm_flags[@]}" --namespace "$NAMESPACE" "$@"; }
