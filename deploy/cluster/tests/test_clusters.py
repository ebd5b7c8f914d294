"""`make up` and `make down` against stand-ins: which clusters they make, use, and leave alone."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from machine import FOREIGN, WHOLE, OnAMachine  # noqa: E402


class WhichCluster(OnAMachine):
    def test_every_call_says_which_context_is_meant(self):
        self.machine.set(current="production", contexts=["production"])
        self.up()
        self.machine.run("down")
        calls = [call for call in self.machine.calls() if call.startswith(("kubectl", "helm"))]
        harmless = ("kubectl version", "helm version", "kubectl config current-context")
        for call in calls:
            if not call.startswith((*harmless, "kubectl config use-context production")):
                self.assertRegex(call, r"--(kube-)?context kind-usher ")
        self.assertGreater(len(calls), 10)

    def test_the_users_current_context_stays_current(self):
        self.machine.set(current="production", contexts=["production"])
        self.up()
        self.assertEqual(self.machine.world()["current"], "production")

    def test_a_cluster_that_somebody_else_made_is_neither_used_nor_ended(self):
        self.machine.set(clusters={"usher": FOREIGN})
        line = self.refused()
        self.assertIn("the kind cluster usher was made by somebody else", line)
        self.assertIn("KIND_CLUSTER_NAME=other", line)
        self.assertIn("it stays", self.refused("down"))
        self.assertEqual(self.machine.world()["clusters"], {"usher": FOREIGN})
        self.assertEqual(self.machine.calls("helm upgrade") + self.machine.calls("kind load"), [])

    def test_a_cluster_made_by_hand_after_ours_was_interrupted_is_not_ours(self):
        self.machine.state().mkdir(parents=True)
        (self.machine.state() / "made").write_text("half\n")
        self.machine.set(clusters={"usher": FOREIGN})
        self.assertIn("was made by somebody else", self.refused())
        self.assertIn("it stays", self.refused("down"))

    def test_one_that_does_not_answer_and_was_not_made_here_is_left_alone(self):
        self.machine.set(clusters={"usher": {"whole": False, "marked": False}})
        self.assertIn("was made by somebody else", self.refused())
        self.assertEqual(self.machine.calls("docker start") + self.machine.calls("kind delete"), [])

    def test_a_cluster_of_ours_is_known_by_its_mark_in_another_checkout_too(self):
        self.machine.set(clusters={"usher": WHOLE})
        self.up()
        self.assertEqual(self.machine.calls("kind create"), [])

    def test_a_cluster_that_a_restart_has_stopped_is_woken(self):
        self.up()
        self.machine.set(awake=False)
        self.up()
        self.assertTrue(self.machine.calls("docker start usher-control-plane"))
        self.assertEqual(len(self.machine.calls("kind create")), 1)

    def test_the_name_and_the_nodes_image_are_settings(self):
        self.up(KIND_CLUSTER_NAME="other", KIND_IMAGE="kindest/node:v1.33.1")
        (call,) = self.machine.calls("kind create")
        self.assertIn("--name other ", call)
        self.assertIn("--image kindest/node:v1.33.1", call)

    def test_a_context_goes_with_current_only_and_current_with_a_context_only(self):
        self.machine.set(contexts=["production"])
        self.assertIn("CONTEXT=production goes with CLUSTER=current", self.refused(CONTEXT="production"))
        self.assertIn("needs CONTEXT=NAME, one of: production", self.refused(CLUSTER="current"))
        self.assertIn("there is no context x", self.refused(CLUSTER="current", CONTEXT="x"))
        self.assert_nothing_was_made()


class AClusterOfTheUsers(OnAMachine):
    HERE = {"CLUSTER": "current", "CONTEXT": "kind-work"}

    def setUp(self):
        super().setUp()
        self.machine.set(clusters={"work": FOREIGN}, contexts=["kind-work"])

    def test_only_a_namespace_is_made_in_it_and_only_that_is_taken_away(self):
        self.up(**self.HERE)
        self.assertIn("usher", self.machine.world()["namespaces"])
        done = self.machine.run("down", **self.HERE)
        self.assertEqual(done.returncode, 0, done.stderr)
        world = self.machine.world()
        self.assertEqual((world["namespaces"], world["clusters"]), ({}, {"work": FOREIGN}))
        self.assertEqual([call for call in self.machine.calls() if "label nodes" in call], [])

    def test_a_namespace_that_was_there_before_is_neither_used_nor_ended(self):
        self.machine.set(namespaces={"usher": {"team": "mail"}})
        self.assertIn("NAMESPACE=other", self.refused(**self.HERE))
        self.assertIn("so it stays", self.refused("down", **self.HERE))
        self.assertEqual(self.machine.world()["namespaces"], {"usher": {"team": "mail"}})
        self.assertEqual([call for call in self.machine.calls("helm") if "version" not in call], [])

    def test_a_cluster_that_pulls_needs_an_image_that_can_be_pulled(self):
        self.machine.set(contexts=["far"])
        self.assertIn("IMAGE=registry.example/usher:1", self.refused(CLUSTER="current", CONTEXT="far"))
        self.up(CLUSTER="current", CONTEXT="far", IMAGE="registry.example/usher:1")
        (call,) = [call for call in self.machine.calls("helm") if "upgrade" in call]
        self.assertIn("image.repository=registry.example/usher --set-string image.tag=1 ", call)


class Minikube(OnAMachine):
    def test_create_and_load_are_what_differs(self):
        print("minikube itself is not here: its calls are compared with a recorded stand-in", file=sys.__stderr__)
        self.machine.set(images=["team/nats:2"])
        self.up(CLUSTER="minikube", IMAGE_NATS="team/nats:2", MINIKUBE_FLAGS="--memory=4g --cpus=2")
        calls = self.machine.calls("minikube")
        changing = [call for call in calls if " load " in call or " start " in call]
        image = self.machine.world()["images"][-1]
        self.assertEqual(
            changing,
            [
                "minikube start --profile usher --keep-context --memory=4g --cpus=2",
                f"minikube --profile usher image load {image}",
                "minikube --profile usher image load team/nats:2",
            ],
        )
        self.assertEqual(self.machine.calls("kind"), [])
        self.machine.forget_calls()
        self.up(CLUSTER="minikube", IMAGE_NATS="team/nats:2")
        self.assertEqual([call for call in self.machine.calls("minikube") if " load " in call or " start " in call], [])
        self.assertEqual(self.machine.run("down", CLUSTER="minikube").returncode, 0)
        self.assertEqual(self.machine.calls("minikube delete"), ["minikube delete --profile usher"])

    def test_a_profile_that_somebody_else_made_is_neither_used_nor_ended(self):
        self.machine.set(clusters={"usher": FOREIGN})
        self.assertIn("MINIKUBE_PROFILE=other", self.refused(CLUSTER="minikube"))
        self.assertIn("it stays", self.refused("down", CLUSTER="minikube"))
        self.assertEqual(self.machine.calls("minikube start") + self.machine.calls("minikube delete"), [])


if __name__ == "__main__":
    unittest.main()
