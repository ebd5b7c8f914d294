"""The release under test: images, values, pods, and what they say of themselves."""

import json
import os
import sys
import time

from cluster import CLUSTER, HELM, NAMESPACE, ROOT, eventually, http_from_node, is_true, items, kubectl, name_of, run, say

NAME = "usher"
CHART = ROOT / "helm/usher"
SERVICES = ("accounts", "verification", "mailer")
ADMIN_PORTS = {"accounts": 50151, "verification": 50152, "mailer": 50153}

# Who listens where.
LISTENERS = [
    ("accounts", 50051),
    ("accounts", 50151),
    ("verification", 50052),
    ("verification", 50152),
    ("mailer", 50053),
    ("mailer", 50153),
    ("nats", 4222),
    ("nats", 8222),
    ("postgres", 5432),
    ("jaeger", 4317),
    ("jaeger", 16686),
    ("mailbox", 1025),
    ("mailbox", 8025),
]
# Who may connect to whom. Everything else is closed.
ALLOWED = {
    ("accounts", "nats", 4222),
    ("accounts", "postgres", 5432),
    ("accounts", "jaeger", 4317),
    ("verification", "nats", 4222),
    ("verification", "postgres", 5432),
    ("verification", "jaeger", 4317),
    ("verification", "mailer", 50053),
    ("mailer", "postgres", 5432),
    ("mailer", "jaeger", 4317),
    ("mailer", "mailbox", 1025),
}


def image():
    """Our own image, as `make test-cluster` names it."""
    return os.environ.get("IMAGE", "usher:tests")


def images():
    """Ours, and others than the chart's own where the environment names them, by the values' block."""
    named = {"nats": "IMAGE_NATS", "database.bundled": "IMAGE_POSTGRES", "jaeger": "IMAGE_JAEGER"}
    return {block: os.environ[variable] for block, variable in named.items() if os.environ.get(variable)}


def helm(*arguments, **options):
    return run(HELM, "--namespace", NAMESPACE, *arguments, **options)


def flags(settings):
    """The values of the tests, as helm takes them."""
    repository, _, tag = image().rpartition(":")
    settings = {"image.repository": repository, "image.tag": tag, "image.pullPolicy": "IfNotPresent", **settings}
    for block, other in images().items():
        repository, _, tag = other.rpartition(":")
        settings |= {f"{block}.image.repository": repository, f"{block}.image.tag": tag}
    # A tag such as "2" is a text.
    sets = [flag for name, value in settings.items() for flag in ("--set-string" if name.endswith(".tag") else "--set", f"{name}={value}")]
    return ["--values", CHART / "values-local.yaml", *sets]


def install(chart=CHART, **settings):
    """Into a namespace that refuses what is not restricted, and waits until everything is ready."""
    if not has_namespace():
        CLUSTER.load([image(), *images().values()])
        run("kubectl", "create", "namespace", NAMESPACE)
        run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    began = time.monotonic()
    upgrade(chart, **settings)
    say(f"installed in {time.monotonic() - began:.0f} s")


def upgrade(chart=CHART, **settings):
    try:
        helm("upgrade", "--install", NAME, chart, *flags(settings), "--wait", "--timeout", "5m", seconds=330)
    except Exception:
        print(tell_of_pods(), file=sys.stderr)
        raise


def has_namespace():
    return any(name_of(one) == NAMESPACE for one in items("namespaces", namespace=None))


def component(pod):
    return pod["metadata"]["labels"].get("app.kubernetes.io/component", "")


def pods(of=""):
    """Those that run for good: of one component, or all."""
    selector = f"app.kubernetes.io/instance={NAME}" + (f",app.kubernetes.io/component={of}" if of else "")
    running = [pod for pod in items("pods", selector) if pod["status"]["phase"] == "Running" and "ownerReferences" in pod["metadata"]]
    return [pod for pod in running if pod["metadata"]["ownerReferences"][0]["kind"] != "Job" and "deletionTimestamp" not in pod["metadata"]]


def restarts(of=""):
    return {name_of(pod): [one["restartCount"] for one in pod["status"].get("containerStatuses", [])] for pod in pods(of)}


def all_ready():
    """Whether every workload has all its pods, ready and of the newest revision."""
    for kind in ("deployments", "statefulsets"):
        for workload in items(kind):
            wanted, status = workload["spec"]["replicas"], workload["status"]
            seen = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
            # Helm's and kubectl's word for done: none of the old ones is left.
            numbers = (status.get("replicas", 0), status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
            if not seen or any(number != wanted for number in numbers):
                return False
    return not any("deletionTimestamp" in pod["metadata"] for pod in items("pods", f"app.kubernetes.io/instance={NAME}"))


def until_ready(what, seconds=180):
    eventually(f"everything to be ready again after: {what}", all_ready, seconds)
    # Kubernetes asks every few seconds, and believes the second answer: what was short it has not noticed.
    eventually(f"every service to say itself that it is ready after: {what}", all_say_ready, seconds)


def all_say_ready():
    return all(http_from_node(pod, ADMIN_PORTS[service], "/readyz")[0] == 200 for service in SERVICES for pod in pods(service))


def readiness(service):
    """Status and report of a service's pod, as the kubelet is told."""
    pod = pods(service)[0]
    status, body = http_from_node(pod, ADMIN_PORTS[service], "/readyz")
    return status, json.loads(body)


def psql(database, statement):
    return kubectl("exec", "usher-postgres-0", "--", "psql", "--username", "postgres", "--dbname", database, "--tuples-only", "--no-align", "--command", statement)


def log(pod, container=""):
    return kubectl("logs", name_of(pod), *(["--container", container] if container else []), "--tail", "400")


def tell_of_pods():
    """What a person would look at when the release does not come up."""
    told = [kubectl("get", "pods", "--output", "wide", check=False)]
    for pod in items("pods"):
        if not is_true(pod, "Ready") and pod["status"]["phase"] != "Succeeded":
            told.append(f"--- {name_of(pod)}\n" + kubectl("logs", name_of(pod), "--all-containers", "--tail", "15", check=False))
            told.append(kubectl("describe", "pod", name_of(pod), check=False)[-1500:])
    return "\n".join(told)


REPORT = ROOT / "target/cluster-tests/report.md"


def tell(text):
    """Into the report, and onto the terminal."""
    say(text)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    with REPORT.open("a") as report:
        report.write(f"{text}\n")
