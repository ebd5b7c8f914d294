# What must be on this machine, and how one gets it.
# shellcheck shell=bash

docker_home=https://docs.docker.com/get-docker
kind_home=https://kind.sigs.k8s.io/docs/user/quick-start
minikube_home=https://minikube.sigs.k8s.io/docs/start
kubectl_home=https://kubernetes.io/docs/tasks/tools
helm_home=https://helm.sh/docs/intro/install

# One line for each tool that is missing.
require_tools() {
    local pair tool missing=0
    for pair in "$@"; do
        tool=${pair%%=*}
        command -v "$tool" >/dev/null || {
            printf 'make %s: there is no %s; get it: %s\n' "$command" "$tool" "${pair#*=}" >&2
            missing=1
        }
    done
    ((missing == 0)) || exit 1
}

require_all_tools() {
    case $CLUSTER in
        kind) require_tools docker="$docker_home" kind="$kind_home" kubectl="$kubectl_home" "$HELM=$helm_home" ;;
        minikube) require_tools docker="$docker_home" minikube="$minikube_home" kubectl="$kubectl_home" "$HELM=$helm_home" ;;
        current) require_tools kubectl="$kubectl_home" "$HELM=$helm_home" ;;
    esac
    [ "$CLUSTER" = current ] || require_docker
}

require_docker() {
    local words
    words=$(docker version --format '{{.Server.Version}}' 2>&1) && return
    case $words in
        *'permission denied'*) give_up "you may not talk to Docker; sudo usermod -aG docker \$USER, log in again, then make $command" ;;
        *) give_up "docker is here, but its engine does not answer; start it (Docker Desktop, or sudo systemctl start docker), then make $command" ;;
    esac
}

# Where Docker keeps images, when that is a folder of this machine (on a Mac it is inside a virtual machine).
require_space() {
    local folder free
    folder=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null) || return 0
    [ -d "$folder" ] || folder=$root
    free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
    [ "${free:-$DISK_MB}" -ge "$DISK_MB" ] ||
        give_up "the disk is full: $free MB are free at $folder, images need $DISK_MB; docker system prune frees what Docker does not use, then make $command"
}

versions() {
    local cluster_tool=
    case $CLUSTER in
        kind) cluster_tool="$(kind version | awk '{ print $1, $2 }'), " ;;
        minikube) cluster_tool="minikube $(minikube version --short), " ;;
    esac
    [ "$CLUSTER" = current ] || printf 'docker %s, ' "$(docker version --format '{{.Server.Version}}')"
    printf '%skubectl %s, helm %s\n' "$cluster_tool" \
        "$(kubectl version --client 2>/dev/null | awk '/^Client/ { print $3 }')" \
        "$("$HELM" version --template '{{.Version}}')"
}
