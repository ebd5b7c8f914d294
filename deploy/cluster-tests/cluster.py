"""A cluster of kind's for the tests: made with as many nodes as a test asks for, and deleted at the end.

Nodes are containers of Docker; what only a node can see (a pod's network, its files) is looked at from in there.
"""

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "usher"
NAME = os.environ.get("KIND_CLUSTER_NAME", "usher-tests")
HELM = os.environ.get("HELM", "helm")
NODE_IMAGE = os.environ.get("KIND_IMAGE", "")
KEEP = os.environ.get("KEEP", "")  # the cluster is left running, and the next run goes on with it


class Failed(Exception):
    """A command that did not do what it was told, with what it said."""


def run(*command, stdin=None, check=True, seconds=300):
    """What a command says; its errors are told by the exception."""
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True, text=True, timeout=seconds)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


def say(line):
    print(f"· {line}", file=sys.stderr, flush=True)


def eventually(what, look, seconds=60):
    """The first answer of `look` that is true. Nothing here waits for a time to pass, only for something to be so."""
    deadline = time.monotonic() + seconds
    trouble = None
    while True:
        try:
            answer = look()
        except (Failed, OSError, KeyError, IndexError, ValueError) as error:
            answer, trouble = None, error
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{seconds} s were not enough for {what}" + (f"; last: {trouble}" if trouble else ""))
        time.sleep(0.3)


# ------------------------------------------------------------------------------------------ the cluster itself


def why_none():
    """Why no cluster can be had; nothing where one can."""
    for tool in ("docker", "kind", "kubectl", HELM):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    if subprocess.run(["docker", "version"], capture_output=True).returncode != 0:
        return "Docker does not answer"
    return None


class Cluster:
    """At most one at a time, as each takes a gigabyte for every node."""

    def __init__(self):
        self.nodes = 0

    def of_nodes(self, count):
        """Makes a cluster with so many nodes, unless it is there."""
        if KEEP and not self.nodes and NAME in run("kind", "get", "clusters").split():
            self.nodes = len(run("kind", "get", "nodes", "--name", NAME).split())
        if self.nodes == count:
            return
        self.delete()
        roles = ["control-plane"] + ["worker"] * (count - 1)
        config = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes:\n" + "".join(f"- role: {role}\n" for role in roles)
        began = time.monotonic()
        image = ["--image", NODE_IMAGE] if NODE_IMAGE else []
        run("kind", "create", "cluster", "--name", NAME, "--wait", "120s", "--config", "-", *image, stdin=config)
        self.nodes = count
        if count > 1:
            # The tests have few nodes: on each of them something runs.
            run("kubectl", "taint", "nodes", "--all", "node-role.kubernetes.io/control-plane-", check=False)
        eventually("the nodes to be ready", all_nodes_ready, 120)
        eventually("the cluster's DNS", dns_ready, 120)
        say(f"a cluster of {count} nodes in {time.monotonic() - began:.0f} s")

    def load(self, images):
        """Brings images of this machine into every node."""
        began = time.monotonic()
        run("kind", "load", "docker-image", "--name", NAME, *images, seconds=600)
        say(f"{len(images)} images loaded in {time.monotonic() - began:.0f} s")

    def delete(self):
        if self.nodes:
            run("kind", "delete", "cluster", "--name", NAME, check=False)
            self.nodes = 0


CLUSTER = Cluster()
if not KEEP:
    atexit.register(CLUSTER.delete)


def all_nodes_ready():
    return all(is_true(node, "Ready") for node in items("nodes", namespace=None))


def dns_ready():
    deployment = get("deployment", "coredns", namespace="kube-system")
    return deployment["status"].get("readyReplicas") == deployment["spec"]["replicas"]


# ------------------------------------------------------------------------------------------ kubectl, with JSON


def kubectl(*arguments, namespace=NAMESPACE, **options):
    flags = ["--namespace", namespace] if namespace else []
    return run("kubectl", *flags, *arguments, **options)


def get(kind, name, namespace=NAMESPACE):
    return json.loads(kubectl("get", kind, name, "--output", "json", namespace=namespace))


def items(kind, selector="", namespace=NAMESPACE):
    flags = ["--selector", selector] if selector else []
    return json.loads(kubectl("get", kind, *flags, "--output", "json", namespace=namespace))["items"]


def apply(*objects, namespace=NAMESPACE):
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    return kubectl("apply", "--filename", "-", namespace=namespace, stdin=document)


def is_true(thing, condition):
    conditions = thing.get("status", {}).get("conditions") or []
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)


def name_of(thing):
    return thing["metadata"]["name"]


# ------------------------------------------------------------------------------------------ what only a node sees


def on_node(node, script, check=True):
    """Runs a line of bash on a node."""
    return run("docker", "exec", node, "bash", "-c", script, check=check, seconds=60)


def process_of(pod):
    """The number that a pod's main process has on its node."""
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    found = on_node(pod["spec"]["nodeName"], f"grep -ls {container} /proc/[0-9]*/cgroup | cut -d/ -f3 | sort -n | head -1")
    if not found.strip():
        raise Failed(f"{name_of(pod)} has no process on its node")
    return int(found)


def can_connect(pod, address, port, seconds=2):
    """Whether a pod reaches an address: tried from within the pod's own network."""
    inside = f"nsenter --net=/proc/{process_of(pod)}/ns/net"
    line = f"timeout {seconds} {inside} bash -c '</dev/tcp/{address}/{port}' 2>/dev/null && echo yes || echo no"
    return on_node(pod["spec"]["nodeName"], line).strip() == "yes"


def http_from_node(pod, port, path):
    """Status and body of a pod's listener, asked from its node, as the kubelet asks."""
    request = f"GET {path} HTTP/1.0\\r\\nHost: probe\\r\\n\\r\\n"
    line = f"exec 3<>/dev/tcp/{pod['status']['podIP']}/{port} && printf '{request}' >&3 && timeout 5 cat <&3"
    head, _, body = on_node(pod["spec"]["nodeName"], line).replace("\r\n", "\n").partition("\n\n")
    return int(head.split()[1]), body


# ------------------------------------------------------------------------------------------ ways into the cluster


@contextlib.contextmanager
def forwarded(what, port):
    """A port of this machine that leads to `what`, such as `service/usher-jaeger`."""
    command = ["kubectl", "--namespace", NAMESPACE, "port-forward", what, f":{port}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = process.stdout.readline()  # Forwarding from 127.0.0.1:40123 -> 50051
        if "->" not in line:
            raise Failed(f"{' '.join(command)}\n{line}{process.stdout.read()}")
        yield f"http://{line.split()[2]}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def http(url, method="GET"):
    """Status and body of a URL; a refusal is an answer, too."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
