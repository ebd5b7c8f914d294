"""What people get wrong, on pods: each is said in one line of the log and on /readyz, no pod is restarted for it, and
everything goes on by itself when it is mended."""

import base64
import binascii
import contextlib
import json
import os
import time
import unittest

import release
from cluster import CLUSTER, eventually, forwarded, get, kubectl, name_of, why_none
from journey import usher
from release import log, pods, psql, readiness, restarts, until_ready


def seed_of_nobody():
    """A user's seed as NATS writes it (prefix, key, CRC-16, in base 32) that no broker was told of."""
    raw = bytes([0x95, 0x00]) + os.urandom(32)
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def patched(secret, key, encoded):
    """Another value, as base64; None takes the key away. Whoever has it mounted sees it at once."""
    kubectl("patch", "secret", secret, "--type", "merge", "--patch", json.dumps({"data": {key: encoded}}))
    for pod in pods():
        # A kubelet looks at Secrets again when a pod changes, else within a minute and a half.
        kubectl("annotate", "pod", name_of(pod), "--overwrite", f"usher.test/looked={time.time_ns()}")


@contextlib.contextmanager
def instead(secret, key, text):
    """Another text, or none, in place of what a secret holds, until the end."""
    good = get("secret", secret)["data"][key]
    patched(secret, key, text and base64.b64encode(text.encode()).decode())
    try:
        yield
    finally:
        patched(secret, key, good)


@contextlib.contextmanager
def without(workload):
    """A part that is away, until the end."""
    replicas = get("statefulset", workload)["spec"]["replicas"]
    kubectl("scale", "statefulset", workload, "--replicas", "0")
    try:
        yield
    finally:
        kubectl("scale", "statefulset", workload, "--replicas", str(replicas))


def text_of(secret, key):
    return base64.b64decode(get("secret", secret)["data"][key]).decode()


def anew(service):
    """Pods that know nothing of before."""
    names = {name_of(pod) for pod in pods(service)}
    kubectl("delete", "pod", *names, "--wait=false")
    eventually(f"another pod of {service}", lambda: {name_of(pod) for pod in pods(service)} - names, 90)


def sign_up(address):
    with forwarded("service/usher-accounts", 50051) as accounts:
        return usher("account", "create", address, "--accounts-url", accounts)


@unittest.skipIf(why_none(), f"no cluster: {why_none()}")
class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        CLUSTER.of_nodes(1)
        release.install()

    def setUp(self):
        until_ready("the test before")
        self.before = restarts()

    def says(self, service, part, *, is_ready, in_log=None):
        """Its readiness and its log say it, in one line each."""
        in_log = in_log or part

        def report():
            status, body = readiness(service)
            return (status == 200) == is_ready and part in json.dumps(body) and body

        def logged():
            return next((line for line in log(pods(service)[0]).splitlines() if in_log in line), None)

        body = eventually(f"{service} to say on /readyz: {part}", report, 60)
        line = eventually(f"{service} to say in its log: {in_log}", logged, 60)
        said = body if not is_ready else body["degraded"]
        release.tell(f"{self.id().rpartition('.')[2]}\n    /readyz  {json.dumps(said)}\n    log      {line}")

    def is_well_again(self, service):
        def is_well():
            status, report = readiness(service)
            return status == 200 and not report.get("degraded")

        eventually(f"{service} to be well again", is_well, 120)
        until_ready("the mending")
        for pod, counts in restarts().items():
            self.assertEqual(counts, self.before.get(pod, [0] * len(counts)), f"{pod} was restarted")

    def test_1_a_secret_that_is_missing(self):
        with instead("usher-mailer", "mail-url", None):
            anew("mailer")
            self.says("mailer", "/etc/usher/mail-url", is_ready=False)
        self.is_well_again("mailer")

    def test_2_a_database_that_is_away(self):
        with without("usher-postgres"):
            for service in release.SERVICES:
                self.says(service, "the database does not answer", is_ready=False)
        for service in release.SERVICES:
            self.is_well_again(service)

    def test_3_a_broker_that_is_away(self):
        with without("usher-nats"):
            for service in ("accounts", "verification"):
                self.says(service, "is not connected", in_log="The broker is away", is_ready=True)
        for service in ("accounts", "verification"):
            self.is_well_again(service)

    def test_4_a_mail_server_that_refuses_the_password(self):
        wrong = text_of("usher-mailer", "mail-url").replace("usher:", "usher:wrong", 1)
        with instead("usher-mailer", "mail-url", wrong):
            anew("mailer")
            sign_up("grace.hopper@example.com")  # the password is tried when there is a mail
            self.says("mailer", "refuses the login", is_ready=True)
        sign_up("alan.turing@example.com")
        self.is_well_again("mailer")

    def test_5_a_schema_that_is_older_than_the_program(self):
        newest = psql("accounts", "DELETE FROM seaql_migrations WHERE version = (SELECT max(version) FROM seaql_migrations) RETURNING *").splitlines()[0]
        version, applied_at = newest.split("|")
        try:
            self.says("accounts", "tables are not current", is_ready=False)
            # Another pod waits for its tables before it serves anybody, and says so.
            kubectl("delete", "pod", name_of(pods("accounts")[0]), "--wait=false")

            def waits():
                waiting = [pod for pod in release.items("pods", "app.kubernetes.io/component=accounts") if pod["status"]["phase"] == "Pending"]
                return next((line for line in log(waiting[0], "migrated").splitlines() if "Waiting" in line), None)

            release.tell(f"    waits    {eventually('another pod to wait for its tables', waits, 60)}")
        finally:
            psql("accounts", f"INSERT INTO seaql_migrations VALUES ('{version}', {applied_at})")
        self.is_well_again("accounts")

    def test_6_a_credential_that_the_broker_refuses(self):
        with instead("usher-accounts", "nats-seed", seed_of_nobody()):
            anew("accounts")
            self.says("accounts", "refuses", is_ready=True)
        self.is_well_again("accounts")


if __name__ == "__main__":
    unittest.main()
