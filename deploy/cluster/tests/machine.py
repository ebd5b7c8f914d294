"""A machine for `make up` without Docker or a cluster: stand-ins for its tools, a checkout, and nothing else on PATH."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
STAND_INS = ("docker", "kind", "minikube", "kubectl", "helm", "make", "df")
TOOLS = (
    "bash env cat grep sed awk tr head tail cut seq sleep mkdir rm rmdir ps date git xargs sha256sum wc nohup "
    "dirname kill ln"
).split()
MARK = {"usher.local/made-by": "make-up"}


def part_of_the_ports():
    """One that no process beside this one has, for it holds the first of its ports. They are none of those that the
    kernel hands out (on Linux from 32768 on), so that no connection of a test takes them meanwhile."""
    parts = list(range(10_000, 32_000, 500))
    random.shuffle(parts)
    for first in parts:
        held = socket.socket()
        with contextlib.suppress(OSError):
            held.bind(("127.0.0.1", first))
            return held, iter(range(first + 1, first + 500))
        held.close()
    raise AssertionError("each part of the ports is somebody's")


HELD, PORTS = part_of_the_ports()


def free_ports(count):
    """Ports that nobody has, and that this process was not given before."""
    free = []
    while len(free) < count:
        port = next(PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            free.append(port)
    return free


class Machine:
    def __init__(self):
        # A space in the path, as people have them.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="make up "))
        self.root, self.bin, self.stand_in = (self.folder / name for name in ("checkout", "bin", "stand in"))
        for folder in (self.root / "deploy", self.bin, self.stand_in, self.root / "services"):
            folder.mkdir(parents=True)
        shutil.copytree(HERE.parent, self.root / "deploy/cluster", ignore=shutil.ignore_patterns("tests"))
        (self.root / "services/main.rs").write_text("fn main() {}\n")
        subprocess.run(["git", "init", "--quiet"], cwd=self.root, check=True)
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        for tool in STAND_INS:
            # Without site-packages Python starts twice as fast, and it is started often.
            script = f'#!/bin/sh\nexec "{sys.executable}" -ISE "{HERE}/stand_in.py" {tool} "$@"\n'
            (self.bin / tool).write_text(script)
            (self.bin / tool).chmod(0o755)
        names = ("PORT_ACCOUNTS", "PORT_VERIFICATION", "PORT_MAILBOX", "PORT_JAEGER")
        self.ports = dict(zip(names, map(str, free_ports(len(names)))))
        self.set(
            clusters={}, contexts=[], current="", images=[], loaded=[], namespaces={}, release=None, pods={},
            docker_root=str(self.folder),
        )

    def world(self):
        return json.loads((self.stand_in / "world.json").read_text())

    def set(self, **changes):
        file = self.stand_in / "world.json"
        world = self.world() if file.exists() else {}
        file.write_text(json.dumps(world | changes))

    def calls(self, beginning=""):
        file = self.stand_in / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def forget_calls(self):
        (self.stand_in / "calls").unlink(missing_ok=True)

    def start(self, command, **settings):
        environment = {"PATH": str(self.bin), "HOME": str(self.folder), "STAND_IN": str(self.stand_in)}
        return subprocess.Popen(
            [str(self.root / "deploy/cluster/cluster.sh"), command],
            env=environment | self.ports | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Whoever runs the tests in the background ignores SIGINT, and hands that on.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, command, **settings):
        return ended(self.start(command, **settings))

    def state(self, context="kind-usher"):
        return self.root / ".cluster" / context

    def keeper(self, context="kind-usher"):
        return int((self.state(context) / "forward.pid").read_text())

    def end(self):
        for pid in self.root.glob(".cluster/*/forward.pid"):
            try:
                os.killpg(int(pid.read_text()), signal.SIGTERM)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder)


def ended(process):
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"it hung: {process.communicate()}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def eventually(what, seconds=20):
    """Watches until it is so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


WHOLE = {"whole": True, "marked": True}
FOREIGN = {"whole": True, "marked": False}


class OnAMachine(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.end)

    def up(self, **settings):
        done = self.machine.run("up", **settings)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done

    def refused(self, command="up", **settings):
        """The one line that it says."""
        done = self.machine.run(command, **settings)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("make ")]
        self.assertEqual(len(lines), 1, done.stderr)
        return lines[0]

    def assert_nothing_was_made(self):
        made = [call for call in self.machine.calls() if " create " in call or " start " in call or "helm" in call]
        self.assertEqual([call for call in made if "version" not in call], [])
