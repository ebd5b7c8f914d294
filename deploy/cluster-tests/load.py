"""People who sign up all the time from outside the cluster, while something is done to it, and what became of them."""

import base64
import json
import os
import subprocess
import tempfile
from pathlib import Path

import release
from cluster import ROOT, Failed, apply, get, items, say

LOAD_TESTS = os.environ.get("LOAD_TESTS", ROOT / "target/debug/load-tests")
RATE = 20
# Which ports are reached from outside, on every node.
REACHED = {
    "accounts": {"grpc": 50051, "admin": 50151},
    "verification": {"grpc": 50052},
    "mailer": {"admin": 50153},
    "mailbox": {"http": 8025},
}


def address_of(node):
    return next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")


def reach():
    """Opens a port on every node for those who sign up outside, and the policies for the nodes; nothing of the chart's is
    changed. A port-forward would follow one pod and end with it."""
    nodes = [address_of(node) for node in items("nodes", namespace=None)]
    objects = []
    for component, ports in REACHED.items():
        labels = {"app.kubernetes.io/instance": release.NAME, "app.kubernetes.io/component": component}
        listed = [{"name": name, "port": port, "targetPort": port} for name, port in ports.items()]
        # From the first node that is asked to any pod: its source is that node.
        sources = [{"ipBlock": {"cidr": cidr}} for cidr in sources_of_nodes()]
        objects.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"reached-{component}"}, "spec": {"type": "NodePort", "selector": labels, "ports": listed}})
        rule = {"from": sources, "ports": [{"port": port} for port in ports.values()]}
        spec = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"], "ingress": [rule]}
        objects.append({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": f"reached-{component}"}, "spec": spec})
    apply(*objects)
    urls = {}
    for component in REACHED:
        for port in get("service", f"reached-{component}")["spec"]["ports"]:
            urls[component, port["name"]] = [f"http://{node}:{port['nodePort']}" for node in nodes]
    return urls


def sources_of_nodes():
    """What a node calls itself when it passes a call on: its own address, or the first one of its pods' network."""
    cidrs = []
    for node in items("nodes", namespace=None):
        first = node["spec"]["podCIDR"].split("/")[0].rsplit(".", 1)[0]
        cidrs += [f"{address_of(node)}/32", f"{first}.0/31"]
    return cidrs


class Load:
    """Runs until it is asked for its report; `phase` says what is done to the cluster from now on."""

    def __init__(self, urls, seconds=1800):
        self.folder = tempfile.TemporaryDirectory()
        token = Path(self.folder.name, "admin-token")
        token.touch(mode=0o600)
        token.write_bytes(base64.b64decode(get("secret", "usher-keys")["data"]["admin-token"]))
        self.errors = Path(self.folder.name, "errors").open("w+")
        first = {name: addresses[0] for name, addresses in urls.items()}
        command = [
            LOAD_TESTS, "--output", "json", "load", "--phases", "--rate", RATE, "--seconds", seconds, "--connections", 12,
            "--repeat-for", "5s", "--at-least", 100, "--guesses", 2000, "--limit", "2m",
            "--accounts-url", ",".join(urls["accounts", "grpc"]), "--accounts-admin-url", first["accounts", "admin"],
            "--verification-url", first["verification", "grpc"], "--mailer-admin-url", first["mailer", "admin"],
            "--mailbox-url", first["mailbox", "http"], "--admin-token-file", token,
        ]  # fmt: skip
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def phase(self, name):
        say(name)
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()

    def report(self):
        """Ends the load, waits for the conservation check, and gives its report."""
        said, _ = self.process.communicate(timeout=300)
        self.errors.seek(0)
        if not said:
            raise Failed(f"load-tests: {self.errors.read()}")
        return json.loads(said)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.errors.close()
        self.folder.cleanup()


def table(report):
    """Disturbance by disturbance, as Markdown."""
    lines = ["| disturbance | requests | repeated | failed | lost | doubled |", "|---|---|---|---|---|---|"]
    columns = ("requests", "repeated", "failed", "lost", "doubled")
    for phase in report["phases"]:
        lines.append(f"| {phase['name']} | " + " | ".join(str(phase[column]) for column in columns) + " |")
    sums = [str(sum(phase[column] for phase in report["phases"])) for column in columns]
    return "\n".join([*lines, "| **all** | " + " | ".join(sums) + " |"])
