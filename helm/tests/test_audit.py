"""The audit of the whole release: every container of every case, and not one of them may fail."""

import pytest

import audit
from cases import CASES, release

# What speaks with the API server: the Job that makes secrets, with a token of an hour.
WITH_TOKEN = ("secrets",)
SHOWN = "three replicas"


@pytest.mark.parametrize("case", CASES)
def test_every_container_is_as_it_has_to_be(case, show_audit):
    rows = list(audit.judge(release(case), WITH_TOKEN))
    wrong = [
        f"{pod.name}, container {container['name']}, {rule}: {reason}"
        for pod, container, found in rows
        for rule, reason in found.items()
        if reason
    ]
    if case == SHOWN:
        show_audit(audit.table(rows))
    assert wrong == []
    assert len(rows) >= 8, "the audit no longer sees the release"


def test_the_audit_sees_every_part_of_the_bundled_release():
    seen = {pod.component for pod, _, _ in audit.judge(release(SHOWN), WITH_TOKEN)}
    services = {"accounts", "verification", "mailer"}
    assert seen == services | {"nats", "postgres", "jaeger", "mailbox", "migrations", "secrets", "smoke"}


def test_no_container_escapes_in_a_form_that_the_audit_does_not_know():
    """Wherever something has an image, it is a container that was looked at."""
    for case in CASES:
        rendered = release(case)
        audited = sum(1 for _ in audit.judge(rendered, WITH_TOKEN))
        assert rendered.text.count(" image: ") == audited, case


def test_the_audit_notices_what_is_spoilt_in_the_rendered_release():
    spoilt = release("local").copy()
    del spoilt.pod("nats").containers()[0]["securityContext"]["readOnlyRootFilesystem"]
    assert [found["read-only"] != "" for _, _, found in audit.judge(spoilt, WITH_TOKEN)].count(True) == 1
    assert "99." in audit.table(list(audit.judge(spoilt, WITH_TOKEN))).splitlines()[-1]


def test_a_token_is_noticed_where_nobody_said_that_there_is_one():
    found = {pod.component: found["no token"] for pod, _, found in audit.judge(release("local"))}
    assert [component for component, wrong in found.items() if wrong] == ["secrets"]
