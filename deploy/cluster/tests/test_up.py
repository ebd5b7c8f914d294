"""`make up` and `make down` against stand-ins: what they need, say and leave behind."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from machine import MARK, OnAMachine, ended, eventually  # noqa: E402


class WhatIsMissing(OnAMachine):
    def test_each_missing_tool_is_named_with_where_to_get_it_and_nothing_is_made(self):
        for tool in ("docker", "kind", "kubectl", "helm"):
            with self.subTest(tool):
                (self.machine.bin / tool).rename(self.machine.folder / tool)
                line = self.refused()
                self.assertRegex(line, f"^make up: there is no {tool}; get it: https://")
                self.assert_nothing_was_made()
                (self.machine.folder / tool).rename(self.machine.bin / tool)

    def test_a_missing_minikube_is_named_where_minikube_is_wanted(self):
        (self.machine.bin / "kind").unlink()
        (self.machine.bin / "minikube").unlink()
        self.assertIn("there is no minikube; get it: https://", self.refused(CLUSTER="minikube"))

    def test_all_missing_tools_are_named_at_once(self):
        for tool in ("docker", "kind", "helm"):
            (self.machine.bin / tool).unlink()
        done = self.machine.run("up")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 3, done.stderr)

    def test_an_engine_that_does_not_answer_is_to_be_started(self):
        self.machine.set(docker="down")
        self.assertIn("its engine does not answer; start it", self.refused())

    def test_an_engine_that_refuses_this_user_is_another_matter(self):
        self.machine.set(docker="denied")
        self.assertIn("you may not talk to Docker", self.refused())

    def test_an_unknown_kind_of_cluster_is_refused(self):
        self.assertIn("none of kind, minikube and current", self.refused(CLUSTER="k3d"))

    def test_a_full_disk_is_told_before_anything_is_made(self):
        self.machine.set(free=300)
        self.assertIn("the disk is full: 300 MB are free", self.refused())
        self.assert_nothing_was_made()

    def test_a_disk_that_fills_up_on_the_way_is_told_as_such(self):
        for step in ("kind create", "make image", "kind load"):
            with self.subTest(step):
                self.machine.set(fail=[step, "write /var/lib/docker/tmp/x: no space left on device"])
                self.assertIn("the disk is full: free", self.refused())
        self.machine.set(fail=None)
        self.up()

    def test_a_taken_port_is_told_with_the_setting_that_moves_it_before_anything_is_made(self):
        for name, port in self.machine.ports.items():
            with self.subTest(name), socket.create_server(("127.0.0.1", int(port))):
                line = self.refused()
                self.assertIn(f"port {port} is taken", line)
                self.assertIn(f"{name}=", line)
                self.assert_nothing_was_made()


class TheSecondRun(OnAMachine):
    def test_it_makes_builds_and_loads_nothing_and_installs_again(self):
        self.up()
        self.machine.forget_calls()
        self.up()
        for call in ("kind create", "make image", "kind load", "kubectl port-forward"):
            self.assertEqual(self.machine.calls(call), [])
        self.assertEqual(len([call for call in self.machine.calls("helm") if "upgrade" in call]), 1)

    def test_changed_sources_are_another_image(self):
        self.up()
        (self.machine.root / "services/main.rs").write_text("fn main() { println!(); }\n")
        self.machine.forget_calls()
        self.up()
        self.assertEqual((len(self.machine.calls("make image")), len(self.machine.calls("kind load"))), (1, 1))

    def test_an_image_that_is_named_and_that_docker_has_is_loaded_once(self):
        self.machine.set(images=["team/nats:2"])
        self.up(IMAGE_NATS="team/nats:2", IMAGE_JAEGER="team/jaeger:2")
        (call,) = self.machine.calls("kind load")
        self.assertIn(" team/nats:2", call)
        self.assertNotIn("jaeger", call)
        (call,) = [call for call in self.machine.calls("helm") if "upgrade" in call]
        self.assertIn("jaeger.image.repository=team/jaeger --set-string jaeger.image.tag=2", call)


class Interrupted(OnAMachine):
    STEPS = ("kind create", "make image", "kind load", "upgrade --install", " test usher", "create --filename -")

    def goes_on_after(self, number):
        """Each run comes as far as the last one, and is ended a step later."""
        for step in self.STEPS:
            with self.subTest(step):
                self.interrupt(step, number)
        self.up()
        self.assertEqual(len(self.machine.calls("make image")), 2, "once interrupted, once whole")
        self.assertEqual(self.machine.run("down").returncode, 0)
        self.assertEqual(self.machine.world()["clusters"], {})

    def test_wherever_ctrl_c_ends_it_the_next_run_goes_on(self):
        self.goes_on_after(signal.SIGINT)

    def test_wherever_it_is_killed_the_next_run_goes_on(self):
        self.goes_on_after(signal.SIGKILL)

    def interrupt(self, step, number):
        hangs = self.machine.stand_in / "hangs"
        self.machine.set(hang=step)
        process = self.machine.start("up")
        self.assertTrue(eventually(hangs.exists), step)
        os.killpg(process.pid, number)
        done = ended(process)
        self.assertNotEqual(done.returncode, 0)
        if number == signal.SIGINT:
            self.assertIn("`make up` goes on from here", done.stderr)
        hangs.unlink()
        self.machine.set(hang=None)

    def test_a_cluster_that_was_half_made_is_made_anew(self):
        self.interrupt("kind create", signal.SIGINT)
        self.assertIn("was half made", self.up().stdout)
        self.assertEqual(len(self.machine.calls("kind delete")), 1)

    def test_two_at_once_do_not_undo_each_other(self):
        self.machine.set(hang="make image")
        first = self.machine.start("up")
        self.assertTrue(eventually((self.machine.stand_in / "hangs").exists))
        self.assertRegex(self.refused(), rf"another make up or make down \(process {first.pid}\)")
        self.assertRegex(self.refused("down"), "is at work")
        os.killpg(first.pid, signal.SIGINT)
        ended(first)


class Ports(OnAMachine):
    def keeps(self, port):
        try:
            socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
            return True
        except OSError:
            return False

    def test_a_forward_that_ends_with_its_pod_is_begun_again(self):
        self.up()
        port = self.machine.ports["PORT_MAILBOX"]
        forwards = lambda: [call for call in self.machine.calls("kubectl") if f" {port}:8025" in call]  # noqa: E731
        self.assertEqual(len(forwards()), 1)
        os.kill(int((self.machine.stand_in / f"port-{port}").read_text()), signal.SIGKILL)
        self.assertTrue(eventually(lambda: len(forwards()) == 2 and self.keeps(port)))

    def test_down_ends_all_of_them(self):
        self.up()
        keeper = self.machine.keeper()
        self.assertTrue(all(self.keeps(port) for port in self.machine.ports.values()))
        self.assertEqual(self.machine.run("down").returncode, 0)
        self.assertTrue(eventually(lambda: not any(self.keeps(port) for port in self.machine.ports.values())))
        self.assertTrue(eventually(lambda: not pathlib.Path(f"/proc/{keeper}").exists()))
        self.assertFalse((self.machine.root / ".cluster").exists())

    def test_a_number_that_is_another_programs_by_now_is_not_ended(self):
        other = subprocess.Popen(["sleep", "60"], start_new_session=True)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        self.up()
        os.killpg(self.machine.keeper(), signal.SIGKILL)
        (self.machine.state() / "forward.pid").write_text(f"{other.pid}\n")
        self.up()
        self.assertEqual(self.machine.run("down").returncode, 0)
        self.assertIsNone(other.poll())

    def test_they_end_by_themselves_when_their_folder_is_gone(self):
        self.up()
        (self.machine.state() / "forward.pid").unlink()
        ports = self.machine.ports.values()
        self.assertTrue(eventually(lambda: not any(self.keeps(port) for port in ports)))


class WhatItSays(OnAMachine):
    def test_where_things_are_and_whose_trace_it_is(self):
        said = self.up().stdout
        ports = self.machine.ports
        self.assertIn(f"127.0.0.1:{ports['PORT_ACCOUNTS']}", said)
        self.assertIn(f"http://127.0.0.1:{ports['PORT_MAILBOX']}", said)
        self.assertIn(f"http://127.0.0.1:{ports['PORT_JAEGER']}/trace/{'ab' * 16}", said)
        self.assertIn("14 spans from 4 processes", said)

    def test_the_namespace_it_makes_is_marked_and_restricted(self):
        self.up()
        labels = self.machine.world()["namespaces"]["usher"]
        self.assertEqual(labels, MARK | {"pod-security.kubernetes.io/enforce": "restricted"})

    def test_a_release_that_does_not_come_up_is_told_pod_by_pod(self):
        self.machine.set(fail=["upgrade --install", "Error: context deadline exceeded"], ready="False")
        done = self.machine.run("up")
        self.assertEqual(done.returncode, 1)
        self.assertIn("usher-accounts-1: error: the database does not answer", done.stderr)
        self.assertNotIn("usher-nats-0:", done.stderr)
        self.assertIn("the release is not ready; mend what stands above", done.stderr)

    def test_a_sign_up_that_fails_again_and_again_is_told(self):
        self.machine.set(pod="Running 3")
        self.assertIn("the sign-up failed", self.refused())

    def test_commands_that_look_in_say_so_where_nothing_runs(self):
        for command in ("logs", "psql", "nats", "mailbox"):
            self.assertIn("make up", self.refused(command))
        self.assertIn("make trace ID=", self.refused("trace"))


class ReadmesRecord(unittest.TestCase):
    PAPERS = HERE.parent / "papers.py"

    def check(self, said):
        return subprocess.run([sys.executable, self.PAPERS, "check"], input=said, capture_output=True, text=True)

    def test_another_machine_says_the_same_and_a_changed_word_is_noticed(self):
        text = (HERE.parents[2] / "README.md").read_text()
        said = text.split("<!-- up:begin -->\n```text\n")[1].split("```\n<!-- up:end -->")[0]
        elsewhere = re.sub(r"\d+ s\b", "1 s", said).replace("kind-usher", "kind-other")
        self.assertEqual(self.check(elsewhere).returncode, 0, self.check(elsewhere).stderr)
        changed = self.check(said.replace("PENDING", "VERIFIED"))
        self.assertEqual(changed.returncode, 1)
        self.assertIn("make papers-up", changed.stderr)


if __name__ == "__main__":
    unittest.main()
