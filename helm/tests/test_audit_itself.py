"""The audit itself: a pod in which everything is as it should be, spoilt in one way at a time."""

import copy

import pytest

import audit
from release import Pod

PROBE = {"httpGet": {"path": "/livez", "port": "admin"}}
GOOD = {
    "kind": "Deployment",
    "metadata": {"name": "usher-accounts"},
    "spec": {
        "template": {
            "metadata": {"labels": {"app.kubernetes.io/component": "accounts"}},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumes": [{"name": "secrets", "projected": {"sources": []}}],
                "containers": [
                    {
                        "name": "accounts",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "resources": {
                            "requests": {"cpu": "50m", "memory": "64Mi"},
                            "limits": {"memory": "64Mi"},
                        },
                        **{probe: PROBE for probe in audit.PROBES},
                    }
                ],
            },
        }
    },
}
OF_POD, OF_CONTAINER = ("securityContext",), ("containers", 0, "securityContext")
CONTAINER = ("containers", 0)

# What is spoilt: by which rule it is found, where it stands, and what stands there then (None: nothing).
SPOILT = {
    "a privileged container": ("restricted", (*OF_CONTAINER, "privileged"), True),
    "a way to more privileges": ("restricted", (*OF_CONTAINER, "allowPrivilegeEscalation"), None),
    "a capability that is kept": ("restricted", (*OF_CONTAINER, "capabilities", "drop"), ["NET_RAW"]),
    "a capability that is added": ("restricted", (*OF_CONTAINER, "capabilities", "add"), ["NET_BIND_SERVICE"]),
    "a pod that may be root": ("restricted", (*OF_POD, "runAsNonRoot"), None),
    "a container that may be root": ("restricted", (*OF_CONTAINER, "runAsNonRoot"), False),
    "no seccomp profile": ("restricted", (*OF_POD, "seccompProfile"), None),
    "an unconfined container": ("restricted", (*OF_CONTAINER, "seccompProfile"), {"type": "Unconfined"}),
    "the node's network": ("restricted", ("hostNetwork",), True),
    "the node's processes": ("restricted", ("hostPID",), True),
    "a folder of the node": ("restricted", ("volumes", 0), {"name": "secrets", "hostPath": {"path": "/"}}),
    "a port of the node": ("restricted", (*CONTAINER, "ports"), [{"containerPort": 1, "hostPort": 1}]),
    "settings of the kernel": ("restricted", (*OF_POD, "sysctls"), [{"name": "kernel.shm_rmid_forced"}]),
    "an SELinux role": ("restricted", (*OF_POD, "seLinuxOptions"), {"role": "x"}),
    "a file system that can be written": ("read-only", (*OF_CONTAINER, "readOnlyRootFilesystem"), None),
    "root by number": ("user", (*OF_POD, "runAsUser"), 0),
    "a user without a number": ("user", (*OF_POD, "runAsUser"), None),
    "a container's own root": ("user", (*OF_CONTAINER, "runAsUser"), 0),
    "no requests": ("resources", (*CONTAINER, "resources", "requests"), None),
    "no limit of memory": ("resources", (*CONTAINER, "resources", "limits"), None),
    "a mounted token": ("no token", ("automountServiceAccountToken",), None),
    "a token that is asked for": (
        "no token",
        ("volumes", 0, "projected", "sources"),
        [{"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}],
    ),
    "a missing startup probe": ("probes", (*CONTAINER, "startupProbe"), None),
    "a missing liveness probe": ("probes", (*CONTAINER, "livenessProbe"), None),
    "a missing readiness probe": ("probes", (*CONTAINER, "readinessProbe"), None),
    "a delay before a probe": ("probes", (*CONTAINER, "livenessProbe", "initialDelaySeconds"), 5),
    "a sidecar without probes": (
        "probes",
        ("initContainers",),
        [{"name": "sidecar", "restartPolicy": "Always"}],
    ),
}


def pod(owner):
    return Pod(owner, owner["spec"]["template"])


def found(owner, container=0):
    """The rules that find something wrong."""
    subject = pod(owner)
    chosen = subject.containers()[container]
    return [name for name, rule in audit.RULES.items() if rule(subject, chosen)]


def spoil(where, what, owner=GOOD):
    spoilt = copy.deepcopy(owner)
    place = spoilt["spec"]["template"]["spec"]
    for step in where[:-1]:
        place = place[step]
    if what is None:
        del place[where[-1]]
    else:
        place[where[-1]] = copy.deepcopy(what)
    return spoilt


def test_a_pod_as_it_should_be_has_nothing_wrong():
    assert found(GOOD) == []


@pytest.mark.parametrize("name", SPOILT)
def test_the_audit_notices(name):
    rule, where, what = SPOILT[name]
    assert rule in found(spoil(where, what))


def test_the_audit_asks_no_probes_of_what_comes_to_an_end_and_refuses_them_there():
    job = spoil((*CONTAINER, "startupProbe"), None) | {"kind": "Job"}
    assert found(job) == ["probes"]
    for probe in audit.PROBES[1:]:
        job = spoil((*CONTAINER, probe), None, job)
    assert found(job) == []


@pytest.mark.parametrize("lives, kind, fine", [(3600, "Job", True), (7200, "Job", False), (600, "Deployment", False)])
def test_a_token_is_for_a_job_and_for_an_hour(lives, kind, fine):
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": lives}}
    owner = spoil(("volumes", 0, "projected", "sources"), [token]) | {"kind": kind}
    assert (audit.short_token(pod(owner), {}) == "") is fine


def test_the_table_counts_what_is_not_fine():
    subject = pod(spoil((*OF_CONTAINER, "readOnlyRootFilesystem"), None))
    container = subject.containers()[0]
    rows = [(subject, container, {name: rule(subject, container) for name, rule in audit.RULES.items()})]
    assert audit.table(rows).splitlines()[-1] == "1 containers, 5 of 6 are fine: 83.3 %"
    assert audit.table(rows).count("✗") == 1
