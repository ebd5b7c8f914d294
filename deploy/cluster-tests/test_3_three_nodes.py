"""Three nodes, two or three replicas of everything, and people who sign up all the time: whatever is done to the
cluster, each of them is answered within five seconds and gets one mail."""

import json
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import release
from cluster import CLUSTER, eventually, forwarded, http, items, kubectl, name_of, on_node, process_of, run, why_none
from load import Load, reach, table
from release import pods, psql, tell, until_ready

REPLICAS = {"services.accounts.replicas": 3, "services.verification.replicas": 3, "services.mailer.replicas": 2, "nats.replicas": 3, "mailbox.keep": 100000}


@unittest.skipIf(why_none(), f"no cluster: {why_none()}")
class OnThreeNodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        CLUSTER.of_nodes(3)
        release.install(**REPLICAS)
        cls.load = Load(reach())
        cls.addClassCleanup(cls.load.end)

    def disturb(self, name, act, seconds=240):
        self.load.phase(name)
        act()
        until_ready(name, seconds)

    def test_1_each_pod_is_deleted_once(self):
        for pod in pods():
            name = name_of(pod)
            self.disturb(f"a pod of {release.component(pod)} is deleted", lambda: kubectl("delete", "pod", name))

    def test_2_the_leader_of_the_stream_is_killed(self):
        for pod in pods("nats"):
            if leads(pod):
                kill = f"kill -KILL {process_of(pod)}"
                return self.disturb("NATS's leader is killed", lambda: on_node(pod["spec"]["nodeName"], kill))
        self.fail("nobody leads the stream")

    def test_3_a_node_is_drained(self):
        # The bundled Postgres is one pod on one node's disk: where it is, nothing can move.
        holds = {pods("postgres")[0]["spec"]["nodeName"]}
        node = next(name_of(node) for node in items("nodes", namespace=None) if name_of(node) not in holds)

        def drain():
            run("kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout", "120s")
            run("kubectl", "uncordon", node)

        self.disturb("a node is drained", drain)

    def test_4_every_service_is_rolled_out_anew(self):
        for service in release.SERVICES:
            self.disturb(f"{service} is rolled out anew", lambda: kubectl("rollout", "restart", f"deployment/usher-{service}"))

    def test_5_the_chart_is_upgraded_and_rolled_back(self):
        with tempfile.TemporaryDirectory() as folder:
            chart = Path(shutil.copytree(release.CHART, Path(folder, "usher")))
            about = chart / "Chart.yaml"
            about.write_text(re.sub(r"(?m)^version: .*", "version: 99.0.0", about.read_text()))
            changed = {"defaults.podAnnotations.changed": "yes", **REPLICAS}
            self.disturb("helm upgrade to a changed chart", lambda: release.upgrade(chart, **changed))
        # As if the changed chart's release had brought tables of its own.
        for service in release.SERVICES:
            psql(service, "INSERT INTO seaql_migrations VALUES ('m0042_later', 1)")
        self.disturb("helm rollback", lambda: release.helm("rollback", release.NAME, "--wait", "--timeout", "5m"))

    def test_6_the_mailer_is_scaled_and_the_mails_are_spread(self):
        for count in (1, 3, 2):
            self.disturb(f"the mailer is scaled to {count}", lambda: kubectl("scale", "deployment/usher-mailer", "--replicas", str(count)))
            shares = spread(seconds=10)
            tell(f"mails by pod of {count}: {shares}")
            even = sum(shares) / count
            self.assertEqual(len(shares), count)
            self.assertTrue(all(abs(share - even) <= 0.15 * even for share in shares), shares)

    def test_7_nobody_is_lost_and_nobody_waits_for_an_answer_longer_than_five_seconds(self):
        report = self.load.report()
        tell(table(report))
        verdict = report["verdict"]
        tell(json.dumps({name: value for name, value in verdict.items()}, indent=1)[:4000])
        for kind in ("lost", "phantom", "doubled_without_reason", "doubled_under_another_id"):
            self.assertEqual(verdict[kind], [], kind)
        failed = {phase["name"]: phase["failed"] for phase in report["phases"] if phase["failed"]}
        self.assertEqual(failed, {})


def leads(pod):
    with forwarded(f"pod/{name_of(pod)}", 8222) as monitor:
        streams = json.loads(http(f"{monitor}/jsz?streams=true")[1])
    accounts = [detail for account in streams["account_details"] for detail in account.get("stream_detail", [])]
    return any(one["name"] == "ACCOUNTS" and one["cluster"]["leader"] == name_of(pod) for one in accounts)


def attempts(pod):
    """How many mails a pod has tried to send."""
    with forwarded(f"pod/{name_of(pod)}", 50153) as admin:
        metrics = http(f"{admin}/metrics")[1]
    return sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith("usher_mail_attempts_total"))


def spread(seconds):
    """How many mails each pod of the mailer sends while that many are signed up as come in so many seconds."""
    before = {name_of(pod): (pod, attempts(pod)) for pod in pods("mailer")}
    wanted = 20 * seconds

    def enough():
        sent = [attempts(pod) - count for pod, count in before.values()]
        return sum(sent) >= wanted and sent

    return eventually("enough mails to see the spread", enough, 10 * seconds)


if __name__ == "__main__":
    unittest.main()
