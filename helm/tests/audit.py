"""What every container of a release has to be like. Each rule answers "" or what is wrong.

`restricted` follows Pod Security's profile of that name, control by control; the other columns go beyond it.
"""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
LONGEST_TOKEN = 3600


def restricted(pod, container):
    """Pod Security "restricted"."""
    return _restricted_pod(pod.spec) or _restricted_container(pod.spec, container)


def _restricted_pod(spec):
    for host in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(host):
            return f"{host} is on"
    for volume in spec.get("volumes") or []:
        others = set(volume) - {"name"} - VOLUMES
        if others:
            return f"volume {volume['name']} is of {', '.join(others)}"
    if (spec.get("securityContext") or {}).get("sysctls"):
        return "it sets sysctls"
    return ""


def _restricted_container(spec, container):
    of_pod, own = spec.get("securityContext") or {}, container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    seccomp = (own.get("seccompProfile") or of_pod.get("seccompProfile") or {}).get("type")
    if own.get("privileged"):
        return "it is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        return "allowPrivilegeEscalation is not false"
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        return "it keeps capabilities"
    if not own.get("runAsNonRoot", of_pod.get("runAsNonRoot")):
        return "runAsNonRoot is not true"
    if seccomp not in ("RuntimeDefault", "Localhost"):
        return "it has no seccomp profile"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        return "it takes a port of the node"
    for unusual in ("seLinuxOptions", "procMount", "appArmorProfile", "windowsOptions"):
        if unusual in own or unusual in of_pod:
            return f"it sets {unusual}"
    return ""


def read_only(_pod, container):
    """Its file system is read-only."""
    fine = (container.get("securityContext") or {}).get("readOnlyRootFilesystem") is True
    return "" if fine else "its file system can be written"


def numeric_user(pod, container):
    """A user by number, so that the kubelet can see that it is not root."""
    own = container.get("securityContext") or {}
    user = own.get("runAsUser", (pod.spec.get("securityContext") or {}).get("runAsUser"))
    return "" if isinstance(user, int) and user > 0 else f"its user is {user}"


def resources(_pod, container):
    """What it needs, and the most memory that it may take."""
    given = container.get("resources") or {}
    for part, resource in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        if not (given.get(part) or {}).get(resource):
            return f"it has no {part}.{resource}"
    return ""


def no_token(pod, _container):
    """No token of the API server's, be it mounted by Kubernetes or asked for."""
    if pod.spec.get("automountServiceAccountToken") is not False:
        return "a token is mounted"
    return "it asks for a token" if list(_tokens(pod)) else ""


def short_token(pod, _container):
    """For the Job that speaks with the API server: one token, for an hour at most."""
    if pod.spec.get("automountServiceAccountToken") is not False or pod.serves:
        return "a token is mounted that lives as long as the pod"
    lives = [token.get("expirationSeconds", LONGEST_TOKEN + 1) for token in _tokens(pod)]
    return "" if len(lives) == 1 and lives[0] <= LONGEST_TOKEN else f"its tokens live {lives} s"


def _tokens(pod):
    for volume in pod.spec.get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or []:
            if "serviceAccountToken" in source:
                yield source["serviceAccountToken"]


def probes(pod, container):
    """Three probes where it is there to stay; what comes to an end is judged by its end."""
    if not _to_be_probed(pod, container):
        wrong = [probe for probe in PROBES if probe in container]
        return f"it comes to an end and has a {wrong[0]}" if wrong else ""
    missing = [probe for probe in PROBES if probe not in container]
    if missing:
        return f"it has no {missing[0]}"
    if any("initialDelaySeconds" in container[probe] for probe in PROBES):
        return "a delay stands where its startup probe does it"
    return ""


def _to_be_probed(pod, container):
    is_sidecar = container.get("restartPolicy") == "Always"
    return pod.serves and (is_sidecar or container not in (pod.spec.get("initContainers") or []))


RULES = {
    "restricted": restricted,
    "read-only": read_only,
    "user": numeric_user,
    "resources": resources,
    "no token": no_token,
    "probes": probes,
}


def judge(release, with_token=()):
    """A row for each container: (pod, container, {rule: what is wrong}). `with_token` are components of the API's."""
    for pod in release.pods():
        for container in pod.containers():
            rules = dict(RULES)
            if pod.component in with_token:
                rules["no token"] = short_token
            yield pod, container, {name: rule(pod, container) for name, rule in rules.items()}


def table(rows):
    """The rows as text: ✓ is fine, ✗ is not, – is not asked for, 1 h is how long its only token lives."""
    names = [(f"{pod.kind}/{pod.name}", container["name"]) for pod, container, _ in rows]
    first, second = (max(map(len, column)) for column in zip(("pod", "container"), *names))
    lines = ["  ".join([f"{'pod':{first}}", f"{'container':{second}}", *RULES])]
    for pod, container, found in rows:
        cells = [f"{_mark(pod, container, rule, wrong):^{len(rule)}}" for rule, wrong in found.items()]
        owner = f"{pod.kind}/{pod.name}"
        lines.append("  ".join([f"{owner:{first}}", f"{container['name']:{second}}", *cells]).rstrip())
    answers = [wrong for _, _, found in rows for wrong in found.values()]
    fine = answers.count("")
    lines.append(f"{len(rows)} containers, {fine} of {len(answers)} are fine: {100 * fine / len(answers):.1f} %")
    return "\n".join(lines)


def _mark(pod, container, rule, wrong):
    if wrong:
        return "✗"
    if rule == "no token" and list(_tokens(pod)):
        return "1 h"
    return "–" if rule == "probes" and not _to_be_probed(pod, container) else "✓"
