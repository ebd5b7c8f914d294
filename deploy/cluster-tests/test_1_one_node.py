"""The release on one node: it is installed, a person goes through it, and nothing else can."""

import json
import unittest

import release
from cluster import CLUSTER, Failed, apply, can_connect, eventually, forwarded, kubectl, name_of, on_node, process_of, why_none
from journey import CONFIRMATION, SIGN_UP, code_in, dependencies, edges, mail_to, trace, usher


@unittest.skipIf(why_none(), f"no cluster: {why_none()}")
class OnOneNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        CLUSTER.of_nodes(1)
        release.install()

    def test_1_helm_test_passes(self):
        try:
            release.helm("test", release.NAME, "--timeout", "2m")
        except Failed:
            self.fail(kubectl("logs", "usher-smoke"))

    def test_2_a_person_signs_up_by_grpc_and_both_traces_come_back_whole_by_the_ids_that_the_calls_returned(self):
        address = "ada.lovelace@example.com"
        with (
            forwarded("service/usher-accounts", 50051) as accounts,
            forwarded("service/usher-verification", 50052) as verification,
            forwarded("service/usher-mailbox", 8025) as mailbox,
            forwarded("service/usher-jaeger", 16686) as jaeger,
        ):
            signed_up = usher("account", "create", address, "--accounts-url", accounts)
            mail = mail_to(address, mailbox)
            confirm = ["account", "confirm", signed_up["account"]["account_id"], code_in(mail)]
            confirmed = usher(*confirm, "--accounts-url", accounts, "--verification-url", verification)

            for trace_id, wanted in ((signed_up["trace_id"], SIGN_UP), (confirmed["trace_id"], CONFIRMATION)):
                whole = lambda: set(wanted) <= edges(trace(jaeger, trace_id))
                try:
                    eventually("the trace to be whole", whole)
                except AssertionError:
                    missing = set(wanted) - edges(trace(jaeger, trace_id))
                    self.fail(f"{trace_id} lacks {sorted(missing)}")
            spans = trace(jaeger, signed_up["trace_id"])
            self.assertNotIn(address, json.dumps(spans))
            self.assertNotIn(code_in(mail), json.dumps(spans))

            path = {("accounts", "verification"), ("verification", "mailer")}
            eventually("Jaeger to draw accounts → verification → mailer", lambda: path <= dependencies(jaeger))

    def test_3_the_namespace_refuses_what_is_not_restricted(self):
        container = {"name": "root", "image": release.image(), "securityContext": {"privileged": True}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "privileged"}, "spec": {"containers": [container]}}
        with self.assertRaisesRegex(Failed, "violates PodSecurity"):
            apply(pod)

    def test_4_no_pod_holds_a_token_of_the_cluster(self):
        pods = release.pods()
        self.assertGreater(len(pods), 5)
        for pod in pods:
            with self.subTest(pod=name_of(pod)):
                self.assertIs(pod["spec"].get("automountServiceAccountToken"), False)
                self.assertNotIn("serviceAccountToken", json.dumps(pod["spec"].get("volumes", [])))
                found = on_node(pod["spec"]["nodeName"], f"find /proc/{process_of(pod)}/root/var/run/secrets /proc/{process_of(pod)}/root/run/secrets 2>/dev/null || true")
                self.assertEqual(found, "", "a token lies in its files")

    def test_5_policies_let_through_what_is_needed_and_nothing_else(self):
        wanted = release.ALLOWED
        pods = {release.component(pod): pod for pod in release.pods()}
        allowed, blocked, wrong = 0, 0, []
        for target, port in release.LISTENERS:
            address = pods[target]["status"]["podIP"]
            for caller, pod in pods.items():
                if caller == target:
                    continue
                connected = can_connect(pod, address, port)
                if connected != ((caller, target, port) in wanted):
                    wrong.append(f"{caller} → {target}:{port} is {'open' if connected else 'closed'}")
                allowed, blocked = allowed + connected, blocked + (not connected)
        release.tell(f"policies: {allowed} ways are open and {blocked} are closed, as they must be")
        self.assertEqual(wrong, [])
        self.assertEqual(allowed, len(wanted))
        self.assertGreater(blocked, allowed)


if __name__ == "__main__":
    unittest.main()
