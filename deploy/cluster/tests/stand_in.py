#!/usr/bin/env python3
"""Stands in for docker, kind, minikube, kubectl, helm, make and df: answers as they do, as far as `make up` asks them,
and writes down how it was called. What there is (clusters, images, releases, ...) is kept in a file, so that one run
finds what the run before has left. What the file calls `hang` or `fail` does so.

stand_in.py TOOL ARGUMENTS; the environment's STAND_IN is a folder with `world.json` and `calls`."""

import fcntl
import json
import os
import pathlib
import signal
import socketserver
import sys
import time

FOLDER = pathlib.Path(os.environ["STAND_IN"])
MARK = "usher.local/made-by"
ANSWERS = {
    "/livez": "ok",
    "/api/v1/mails": '{"mails":[{"id":"1","subject":"Confirm your email address"}],"next":null}',
    "/api/v3": "{}",
}


class World:
    """What there is; a block under the lock, so that two stand-ins never write over one another."""

    def __enter__(self):
        self.lock = open(FOLDER / "lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.has = json.loads((FOLDER / "world.json").read_text())
        return self.has

    def __exit__(self, *_):
        new = FOLDER / "world.new"
        new.write_text(json.dumps(self.has))
        new.rename(FOLDER / "world.json")
        self.lock.close()


def option(arguments, name, default=""):
    return arguments[arguments.index(name) + 1] if name in arguments else default


def say_and_end(text, status):
    print(text, file=sys.stderr)
    sys.exit(status)


def docker(a, world):
    state = world.get("docker", "up")
    if state == "down":
        say_and_end("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", 1)
    if state == "denied":
        say_and_end("permission denied while trying to connect to the Docker daemon socket", 1)
    if a[0] == "version":
        print("28.1.1")
    elif a[0] == "info":
        print(world["docker_root"])
    elif a[:2] == ["image", "inspect"]:
        sys.exit(0 if a[2] in world["images"] else 1)
    elif a[0] == "exec":
        wanted = a[-1].removeprefix("name==docker.io/library/").removeprefix("name==docker.io/")
        if wanted in world["loaded"]:
            print(wanted)
    elif a[0] == "start":
        world["awake"] = True


def kind(a, world):
    name = option(a, "--name")
    if a[0] == "version":
        print("kind v0.31.0 go1.25 linux/amd64")
    elif a[:2] == ["get", "clusters"]:
        print("\n".join(world["clusters"]) or "No kind clusters found.")
    elif a[:2] == ["get", "nodes"]:
        print(f"{name}-control-plane")
    elif a[:2] == ["get", "kubeconfig"]:
        if name not in world["clusters"]:
            say_and_end(f'ERROR: could not locate any control plane nodes for cluster named "{name}"', 1)
        print("apiVersion: v1")
    elif a[:2] == ["create", "cluster"]:
        if name in world["clusters"]:
            say_and_end(f'ERROR: node(s) already exist for a cluster with the name "{name}"', 1)
        marked = MARK in pathlib.Path(option(a, "--config")).read_text()
        world["clusters"][name] = {"whole": False, "marked": marked}
        world["current"] = f"kind-{name}"
        yield
        world["clusters"][name]["whole"] = True
    elif a[:2] == ["delete", "cluster"]:
        world["clusters"].pop(name, None)
        world["loaded"] = []
        forget(world)
    elif a[:2] == ["load", "docker-image"]:
        yield
        world["loaded"] += a[4:]


def minikube(a, world):
    name = option(a, "--profile")
    if a[0] == "version":
        print("v1.37.0")
    elif a[:2] == ["profile", "list"]:
        print(json.dumps({"invalid": [], "valid": [{"Name": name} for name in world["clusters"]]}, separators=(",", ":")))
    elif a[0] == "start":
        cluster = world["clusters"].setdefault(name, {"whole": False, "marked": False})
        yield
        cluster = world["clusters"].setdefault(name, cluster)
        cluster["whole"] = True
        world["awake"] = True
    elif a[0] == "delete":
        world["clusters"].pop(name, None)
        world["loaded"] = []
        forget(world)
    elif a[2:4] == ["image", "ls"]:
        print("\n".join("docker.io/" + ("" if "/" in image else "library/") + image for image in world["loaded"]))
    elif a[2:4] == ["image", "load"]:
        yield
        world["loaded"].append(a[4])


def forget(world):
    world.update(namespaces={}, release=None, pods={})


def make(a, world):
    yield
    world["images"].append(option([part for word in a for part in word.split("=", 1)], "IMAGE"))


def df(a, world):
    print("Filesystem 1M-blocks Used Available Capacity Mounted on\n/dev/x 9 9 %d 9%% /" % world.get("free", 50_000))


def helm(a, world):
    a = [word for word in a if word not in ("--kubeconfig", "--kube-context", "--namespace")]
    if "version" in a:
        print("v3.19.0")
    elif "upgrade" in a:
        if (world["release"] or "").startswith("pending"):
            say_and_end("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress", 1)
        world["release"] = "pending-upgrade" if world["release"] else "pending-install"
        yield
        world["release"] = "deployed"
    elif "test" in a:
        yield
        print("Phase: Succeeded")
    elif "uninstall" in a:
        world["release"] = None


def kubectl(a, world):
    if a[0] == "version":
        print("Client Version: v1.34.1")
    if a[:2] == ["config", "current-context"]:
        if not world["current"]:
            sys.exit(1)
        print(world["current"])
    elif a[:2] == ["config", "use-context"]:
        world["current"] = a[2]
    elif a[:2] == ["config", "get-contexts"]:
        print("\n".join(world["contexts"]))
    elif "--context" in a:
        yield from kubectl_in(option(a, "--context"), [w for w in a if w != "--kubeconfig"], world)


def kubectl_in(context, a, world):
    cluster = world["clusters"].get(context.removeprefix("kind-"))
    is_there = context in world["contexts"] or (cluster and cluster["whole"] and world.get("awake", True))
    if not is_there:
        say_and_end("The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?", 1)
    words = " ".join(a)
    if "get nodes" in words and (("--selector" not in a) or (cluster and cluster["marked"])):
        print("node/one")
    elif "label nodes" in words:
        cluster["marked"] = True
    elif "get namespace" in words:
        name = a[a.index("namespace") + 1]
        if name in world["namespaces"]:
            print(f"{name} {json.dumps(world['namespaces'][name])} Active")
    elif "delete namespace" in words:
        world["namespaces"].pop(a[a.index("namespace") + 1], None)
    elif " create " in words:
        made = json.loads(STDIN)
        if made["kind"] == "Namespace":
            world["namespaces"][made["metadata"]["name"]] = made["metadata"]["labels"]
        else:
            yield
            world["pods"][made["metadata"]["name"]] = made["spec"]["containers"][0]["args"]
    elif "delete secret" in words and (world["release"] or "").startswith("pending"):
        world["release"] = "deployed" if world["release"] != "pending-install" else None
    elif "get deployment" in words:
        if not world["release"]:
            sys.exit(1)
        print("usher:0123", end="")
    elif "get pods" in words:
        ready = world.get("ready", "True")
        print(f"usher-accounts-1 accounts {ready}\nusher-nats-0 nats True")
    elif "get pod " in words:
        print(world.get("pod", "Succeeded 0") if "{.status.phase}" in words else "CrashLoopBackOff: back-off 20s", end="")
    elif " logs " in words and "usher-accounts-1" in a:
        print("it began\nerror: the database does not answer\n")
    elif " logs " in words:
        logs(world["pods"].get(next((w for w in a if w in world["pods"]), ""), []))
    elif "port-forward" in a:
        yield
        serve(int(a[-1].split(":")[0]))


def logs(arguments):
    if arguments[:2] == ["account", "create"]:
        print(json.dumps({"account": {"account_id": "0198", "email": arguments[2]}, "trace_id": "ab" * 16}))
    elif arguments[:1] == ["trace"]:
        print(f"trace {arguments[2]}: 14 spans from 4 processes\nhttp://usher-jaeger:16686/trace/{arguments[2]}")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        line = self.rfile.readline().decode()
        if line.startswith("PRI"):
            self.wfile.write(b"\0\0\0\4\0\0\0\0\0")
        path = line.split(" ")[1]
        body = next((ANSWERS[known] for known in ANSWERS if path.startswith(known)), None)
        if body:
            self.wfile.write(f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{body}\n".encode())


def serve(port):
    (FOLDER / f"port-{port}").write_text(str(os.getpid()))
    with Server(("127.0.0.1", port), Handler) as server:
        server.serve_forever()


def main():
    global STDIN
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Before the lock is taken: who writes it may be calling a stand-in meanwhile.
    STDIN = "" if sys.stdin.isatty() else sys.stdin.read()
    tool, arguments = sys.argv[1], sys.argv[2:]
    call = " ".join([tool, *arguments])
    with open(FOLDER / "calls", "a") as calls:
        calls.write(call + "\n")
    with World() as world:
        steps = globals()[tool](arguments, world)
        begun = steps is not None and next(steps, "done") != "done"
        trouble = {kind: world.get(kind) for kind in ("hang", "fail")}
    if trouble["fail"] and trouble["fail"][0] in call:
        say_and_end(trouble["fail"][1], 1)
    if not begun:
        return
    if trouble["hang"] and trouble["hang"] in call:
        (FOLDER / "hangs").touch()
        time.sleep(600)
    if "port-forward" in arguments:
        next(steps, None)
    with World() as now:
        # Others may have changed it meanwhile.
        world.clear()
        world.update(now)
        next(steps, None)
        now.update(world)


main()
