"""`make up` on a machine where nothing of it is: what it says stands in README, and all of it is true."""

import os
import re
import socket
import subprocess
import time
import unittest
import urllib.request

from cluster import CLUSTER, NAME, NAMESPACE, ROOT, eventually, run, say, why_none

CONTEXT = f"kind-{NAME}"


def make(*arguments):
    """What make says; IMAGE is taken away, so that `make up` names the image itself."""
    environment = {name: value for name, value in os.environ.items() if name != "IMAGE"} | {"KIND_CLUSTER_NAME": NAME}
    done = subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    if done.returncode != 0:
        raise AssertionError(f"make {' '.join(arguments)}:\n{done.stdout}{done.stderr[-4000:]}")
    return done.stdout


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            return connection.recv(9)[3:4] == b"\4"
    except OSError:
        return False


@unittest.skipIf(why_none(), f"no cluster: {why_none()}")
class MakeUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        CLUSTER.delete()
        make("down")

    @classmethod
    def tearDownClass(cls):
        make("down")

    def test_1_readme_says_what_make_up_says_and_the_second_time_takes_45_s(self):
        began = time.monotonic()
        said = make("up")
        cold = time.monotonic() - began
        compared = subprocess.run(["deploy/cluster/papers.py", "check"], cwd=ROOT, input=said, capture_output=True, text=True)
        self.assertEqual(compared.returncode, 0, compared.stderr)

        began = time.monotonic()
        again = make("up")
        warm = time.monotonic() - began
        say(f"make up: {cold:.0f} s with everything to be made, {warm:.0f} s the second time")
        self.assertLess(cold, 180, said)
        self.assertLess(warm, 45, again)
        self.assertIn("is there already", again)

    def test_2_what_it_points_to_is_there(self):
        said = make("up")
        (trace,) = set(re.findall(r"/trace/([0-9a-f]{32})", said))
        with urllib.request.urlopen(f"http://127.0.0.1:16686/api/v3/traces/{trace}", timeout=10) as answer:
            self.assertIn("CreateAccount", answer.read().decode())
        with urllib.request.urlopen("http://127.0.0.1:8025", timeout=10) as page:
            self.assertIn("<html", page.read().decode().lower())
        self.assertTrue(answers(50051) and answers(50052))
        self.assertIn(trace, make("trace", f"ID={trace}"))
        self.assertIn("Confirm your", make("mailbox"))
        self.assertIn("ada.", make("psql", "SQL=select email from accounts"))
        self.assertIn("ACCOUNTS", make("nats"))
        self.assertIn("accounts", make("logs", "FOLLOW=0", "SERVICE=accounts"))

    def test_3_a_port_leads_to_the_next_pod_when_its_pod_is_gone(self):
        self.assertTrue(answers(50051))
        state = ROOT / ".cluster" / CONTEXT / "kubeconfig"
        pods = ["--kubeconfig", state, "--context", CONTEXT, "--namespace", NAMESPACE, "delete", "pod"]
        run("kubectl", *pods, "--selector", "app.kubernetes.io/component=accounts")
        eventually("the port to lead to the next pod", lambda: answers(50051), 60)

    def test_4_down_leaves_nothing(self):
        make("down")
        self.assertNotIn(NAME, run("kind", "get", "clusters").split())
        eventually("the ports to be free", lambda: not any(answers(port) for port in (50051, 50052)), 10)
        self.assertFalse((ROOT / ".cluster").exists())


if __name__ == "__main__":
    unittest.main()
