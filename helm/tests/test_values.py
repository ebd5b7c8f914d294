"""Values that cannot be meant are refused: unknown keys at every level, wrong types, and what contradicts itself."""

import copy
import functools
import json
import re

import jsonschema_rs
import pytest

import helm
from cases import CASES, LOCAL, MINIMAL

# Maps that people fill with keys of their own, or whose keys are Kubernetes' business; patterns of paths.
OPEN = (
    "commonLabels", "global", "*.nodeSelector", "*.affinity.*", "*.podLabels", "*.podAnnotations",
    "*.serviceAccountAnnotations", "*.annotations", "*.labels", "*.behavior.*", "*.triggers.*", "*.extraEnvFrom.*",
    "*.extraVolumes.*", "*.extraVolumeMounts.*", "*.matchLabels",
    "grpcRoute.parentRefs.*", "grpcRoute.filters.*", "extraObjects.*", "database.bundled.settings",
    "database.cloudnativepg.spec.*",
)  # fmt: skip


def merged(base, over):
    """Maps key by key, all else replaced: as Helm does with files of values."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return copy.deepcopy(over)
    return {key: merged(base.get(key), over[key]) if key in over else copy.deepcopy(base[key]) for key in base | over}


def as_full_as_can_be():
    """All values that any case sets, so that every level is there."""
    values = helm.read(helm.CHART / "values.yaml")
    for case in CASES.values():
        for file in case.files:
            values = merged(values, helm.read(file))
    return values


def levels(values, path=()):
    """Paths of all maps, the ones in lists too."""
    if isinstance(values, dict):
        yield path
    entries = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in entries:
        yield from levels(value, (*path, key))


def is_open(path):
    return any(_matches(path, pattern.split(".")) for pattern in OPEN)


def _matches(path, pattern):
    """Whether a path ends as the pattern says; a "*" at its beginning or end stands for any number of steps."""
    if pattern[0] == "*":
        return any(_matches(path[start:], pattern[1:]) for start in range(len(path)))
    if pattern[-1] == "*":
        return any(_matches(path[:end], pattern[:-1]) for end in range(1, len(path) + 1))
    return list(path) == pattern


def put(values, path, key, value):
    place = values
    for step in path:
        place = place[step]
    place[key] = value


FULL = as_full_as_can_be()
LEVELS = list(levels(FULL))
CLOSED = [path for path in LEVELS if not is_open(path)]
SCHEMA = jsonschema_rs.validator_for(json.loads((helm.CHART / "values.schema.json").read_text()))


def test_the_fullest_values_are_taken_by_the_schema():
    assert [f"{error.instance_path}: {error.message}" for error in SCHEMA.iter_errors(FULL)] == []
    assert len(CLOSED) > 80, "the walk no longer reaches the levels"


def test_the_schema_refuses_an_unknown_key_at_every_level_of_ours():
    taken = []
    for path in CLOSED:
        values = copy.deepcopy(FULL)
        put(values, path, "replicaz", 1)
        taken += [] if not SCHEMA.is_valid(values) else [".".join(map(str, path))]
    assert taken == []


def test_levels_that_take_any_key_are_those_that_people_fill():
    refused = []
    for path in LEVELS:
        if is_open(path):
            values = copy.deepcopy(FULL)
            put(values, path, "x", "y")
            refused += [".".join(map(str, path))] if not SCHEMA.is_valid(values) else []
    assert refused == []


@pytest.mark.parametrize("kind", helm.KINDS)
def test_helm_names_every_unknown_key_at_once(kind):
    helm.need(kind)
    values = copy.deepcopy(FULL)
    typos = {f"typo{number:03}": path for number, path in enumerate(CLOSED)}
    for typo, path in typos.items():
        put(values, path, typo, 1)
    said = helm.refusal(values=values, kind=kind)
    assert [".".join(map(str, path)) for typo, path in typos.items() if typo not in said] == []


WRONG = {
    "replicas as a word": {"defaults": {"replicas": "two"}},
    "no replicas": {"defaults": {"replicas": 0}},
    "a mode that there is not": {"database": {"mode": "postgress"}},
    "a digest without its kind": {"image": {"digest": "0123"}},
    "a port that there is not": {"networkPolicy": {"parties": {"mail": {"ports": [70000]}}}},
    "a setting that the service has not": {"services": {"accounts": {"settings": {"mail_helo": "x"}}}},
    "a secret among the settings": {"services": {"mailer": {"settings": {"mail_url": "smtp://u:p@host"}}}},
    "a service that there is not": {"services": {"gateway": {}}},
    "a broker for a service that has none": {"services": {"mailer": {"broker": {"secret": "x"}}}},
    "a dispatcher that there is not": {"services": {"accounts": {"dispatcher": "pigeon"}}},
    "a dispatcher for a service that has none": {"services": {"verification": {"dispatcher": "inline"}}},
    "a dispatcher for all": {"defaults": {"dispatcher": "inline"}},
    "an amount that is none": {"defaults": {"resources": {"limits": {"memory": "much"}}}},
    "a name that is none": {"fullnameOverride": "Usher_1"},
    "a duration that is none": {"migrations": {"wait": "soon"}},
    "a variable without a name": {"defaults": {"extraEnv": [{"value": "x"}]}},
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_schema_refuses(name):
    assert "schema" in helm.refusal(MINIMAL, values=WRONG[name])


def service(name, **block):
    return {"services": {name: block}}


# Values that are right alone and wrong together: (over which file, the values, what is said of them).
CONTRADICTIONS = [
    (MINIMAL, service("accounts", autoscaling={"hpa": {"enabled": True}, "keda": {"enabled": True, "triggers": [{"type": "cpu"}]}}),
     "services.accounts.autoscaling: hpa and keda are both enabled"),
    (MINIMAL, service("accounts", autoscaling={"hpa": {"enabled": True, "minReplicas": 9}}), "minReplicas (9) is more than maxReplicas (6)"),
    (MINIMAL, service("accounts", autoscaling={"keda": {"enabled": True}}), "services.accounts.autoscaling.keda.triggers: nothing is there"),
    (MINIMAL, service("verification", autoscaling={"keda": {"enabled": True}}), "services.verification.autoscaling.keda.natsMonitoring"),
    (MINIMAL, service("mailer", autoscaling={"keda": {"enabled": True}}), "services.mailer.autoscaling.keda.prometheus"),
    (MINIMAL, {"defaults": {"resources": {"requests": {"cpu": None}}}} | service("accounts", autoscaling={"hpa": {"enabled": True}}),
     "services.accounts.resources.requests.cpu is missing"),
    (MINIMAL, service("mailer", preStopSeconds=25), "services.mailer.terminationGracePeriodSeconds is 30, but a stop takes up to 35 s"),
    (LOCAL, {"database": {"mode": "sqlite"}, "defaults": {"replicas": 2}}, "services.accounts: with database.mode sqlite there is one replica"),
    (LOCAL, {"database": {"mode": "sqlite"}} | service("accounts", autoscaling={"hpa": {"enabled": True}}),
     "services.accounts: with database.mode sqlite there is one replica"),
    (MINIMAL, service("mailer", database={"secret": ""}), "services.mailer.database.secret is missing: name the Secret"),
    (LOCAL, {"secrets": {"make": False}}, "services.mailer.database.secret is missing, and secrets.make is off"),
    (MINIMAL, {"secrets": {"make": False}}, "services.accounts.broker.secret is missing, and secrets.make is off"),
    (MINIMAL, {"secrets": {"make": False}}, "nats.operator.secret is missing, and secrets.make is off"),
    (MINIMAL, {"secrets": {"make": False}}, "secrets.codeKeys.secret is missing, and secrets.make is off"),
    (LOCAL, {"secrets": {"make": False}}, "nats.users.secret is missing, and secrets.make is off"),
    (LOCAL, {"secrets": {"make": False}, "nats": {"replicas": 3}}, "nats.routes.secret is missing, and secrets.make is off"),
    (LOCAL, {"secrets": {"make": False}}, "mail.secret is missing, and secrets.make is off"),
    (MINIMAL, service("accounts", extraEnv=[{"name": "USHER_LISTEN", "value": "x"}]), "services.accounts.extraEnv: USHER_LISTEN is the chart's"),
    (MINIMAL, service("accounts", extraEnv=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), "services.accounts.extraEnv names A twice"),
    (MINIMAL, {"nats": {"url": ""}}, "nats.url is missing"),
    (LOCAL, {"nats": {"url": "nats://elsewhere:4222"}}, "nats.url is set, but nats.mode is bundled"),
    (MINIMAL, {"nats": {"url": "nats://me:secret@nats:4222"}}, "nats.url holds a login"),
    (LOCAL, {"nats": {"replicas": 2}}, "nats.replicas is 2: two servers stop when either is away"),
    (LOCAL, {"nats": {"streamReplicas": 3}}, "nats.streamReplicas is 3, but there are 1 servers"),
    (MINIMAL, {"mail": {"secret": ""}}, "mail: where do mails go?"),
    (MINIMAL, {"mail": {"url": "smtp://mail:25"}}, "mail.url and mail.secret are both set"),
    (MINIMAL, {"mail": {"secret": "", "url": "smtp://me:secret@mail:25"}}, "mail.url holds a password"),
    (MINIMAL, {"networkPolicy": {"parties": {"mail": {"ports": []}}}}, "networkPolicy.parties.mail.ports is empty"),
    (MINIMAL, {"networkPolicy": {"parties": {"dns": {"ports": []}}}}, "networkPolicy.parties.dns.ports is empty"),
    (MINIMAL, {"grpcRoute": {"render": "always"}}, "grpcRoute.parentRefs is empty"),
    (MINIMAL, {"ingress": {"enabled": True}}, "ingress.hosts is empty"),
    (MINIMAL, {"database": {"mode": "cloudnativepg"}}, "this cluster does not know postgresql.cnpg.io/v1"),
]  # fmt: skip


@pytest.mark.parametrize("file, values, message", CONTRADICTIONS, ids=[message for _, _, message in CONTRADICTIONS])
def test_what_contradicts_itself_is_refused(file, values, message):
    assert message in helm.refusal(file, values=values)


@pytest.mark.parametrize("kind", helm.KINDS)
def test_all_contradictions_are_told_at_once_and_no_secret_is_repeated(kind):
    helm.need(kind)
    # Those that stand in each other's way are left out.
    apart = ("both set", "nats.url is missing", "where do mails go", "triggers: nothing", "cnpg", "USHER_LISTEN")
    together = [one for one in CONTRADICTIONS if one[0] == MINIMAL and not any(word in one[2] for word in apart)]
    values = functools.reduce(merged, [values for _, values, _ in together], {})
    messages = [message for _, _, message in together]
    said = helm.refusal(MINIMAL, values=values, kind=kind)
    assert [message for message in messages if message not in said] == []
    assert "secret@" not in said


def test_every_rule_of_the_template_has_its_row_here():
    text = (helm.CHART / "templates" / "_validation.tpl").read_text()
    rules = [" ".join(rule.split()) for rule in re.findall(r"^- >-\n((?:  .*\n)+)", text, re.MULTILINE)]
    assert len(rules) == text.count("\n- ") >= 30, "the rules are written in another way"
    said = "".join(helm.refusal(file, values=values) for file, values, _ in CONTRADICTIONS)
    patterns = {rule: ".*".join(map(re.escape, re.split(r"\{\{.*?\}\}", rule))) for rule in rules}
    assert [rule for rule, pattern in patterns.items() if not re.search(pattern, said)] == []
