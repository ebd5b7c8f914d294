"""What rolls pods and what does not, and that nothing is changed which Kubernetes lets nobody change."""

import re

import pytest

import helm
from cases import CASES, LOCAL, VALUES, release

CHART_LABEL = ("metadata", "labels", "helm.sh/chart")
OURS = {"accounts", "verification", "mailer"}


def renamed(tmp_path, pattern, replacement):
    """The chart with another line in its Chart.yaml."""
    chart = helm.copy_of_the_chart(tmp_path)
    text, times = re.subn(pattern, replacement, (chart / "Chart.yaml").read_text(), flags=re.MULTILINE)
    assert times == 1
    (chart / "Chart.yaml").write_text(text)
    return chart


def differences(one, other, path=()):
    """Paths at which two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from differences(one.get(key), other.get(key), (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other)):
            yield from differences(*pair, (*path, number))
    elif one != other:
        yield path


@pytest.mark.parametrize("case", CASES)
def test_another_version_of_the_chart_changes_its_label_and_nothing_else(case, tmp_path):
    chart = renamed(tmp_path, r"^version: .*", "version: 9.8.7")
    before, after = release(case).documents, release(case, chart=chart).documents
    found = {path for pair in zip(before, after, strict=True) for path in differences(*pair)}
    # Not in the template of a pod, and not in what a StatefulSet claims: these would roll, or be refused.
    assert found == {CHART_LABEL}


def test_the_comparison_notices_a_label_in_the_template_of_a_pod(tmp_path):
    chart = renamed(tmp_path, r"^version: .*", "version: 9.8.7")
    template = chart / "templates" / "_pod.tpl"
    before = template.read_text()
    template.write_text(before.replace("\nautomountServiceAccountToken:", "\nhostname: {{ .root.Chart.Version }}\nautomountServiceAccountToken:"))
    assert template.read_text() != before
    before, after = release("local").documents, release("local", chart=chart).documents
    assert {path for pair in zip(before, after, strict=True) for path in differences(*pair)} > {CHART_LABEL}


def rolled(before, after):
    """Components whose pods differ, and Jobs that run anew."""
    old, new = (
        {pod.component: (pod.name if pod.kind == "Job" else "", pod.template) for pod in rendered.pods() if not pod.is_hook}
        for rendered in (before, after)
    )
    assert old.keys() == new.keys()
    return {component for component in old if old[component] != new[component]}


def test_another_version_of_usher_rolls_what_is_ours_and_nothing_else(tmp_path):
    chart = renamed(tmp_path, r"^appVersion: .*", 'appVersion: "9.8.7"')
    found = rolled(release("local"), release("local", chart=chart))
    assert found == OURS | {"migrations", "mailbox"}


# What is set, and whose pods that rolls or which Job runs anew.
ROLLS = {
    "a rule of the network": ({"networkPolicy": {"parties": {"callers": {"peers": []}}}}, set()),
    "replicas": ({"defaults": {"replicas": 3}}, set()),
    "a setting of one service": ({"services": {"mailer": {"settings": {"mail_connections": 8}}}}, {"mailer"}),
    "a size of NATS's store": ({"nats": {"jetstream": {"file": "5GB"}}}, {"nats"}),
    "a setting of Postgres": ({"database": {"bundled": {"settings": {"max_connections": 300}}}}, {"postgres"}),
    "traces that Jaeger keeps": ({"jaeger": {"maxTraces": 100}}, {"jaeger"}),
    "how long a migration waits": ({"migrations": {"wait": "9m"}}, OURS | {"migrations"}),
    "a log level": ({"telemetry": {"logs": "debug"}}, OURS | {"mailbox"}),
    "a secret of one's own": ({"secrets": {"codeKeys": {"secret": "mine"}}}, {"verification"}),
}


@pytest.mark.parametrize("name", ROLLS)
def test_only_those_roll_whom_a_change_concerns(name):
    values, wanted = ROLLS[name]
    assert rolled(release("local"), release("local", values=values)) == wanted


CHANGES = {
    "labels": {"commonLabels": {"team": "growth"}},
    "other images": {"image": {"tag": "9.8.7"}, "nats": {"image": {"tag": "9"}}, "database": {"bundled": {"image": {"tag": "18"}}}},
    "more of everything": helm.read(VALUES / "three-replicas.yaml"),
    "resources": {"nats": {"resources": {"limits": {"memory": "2Gi"}}}, "mailbox": {"keep": 5}},
    "another broker's login": {"services": {"accounts": {"broker": {"key": "other"}}}},
    "no traces": {"jaeger": {"enabled": False}},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_an_upgrade_changes_nothing_that_can_never_be_changed(name):
    before, after = release("local"), release("local", values=CHANGES[name])
    wrong = []
    for old in before.all("StatefulSet", "Deployment", "Job", "Service"):
        for new in after.all(old["kind"]):
            is_hook = "helm.sh/hook" in (old["metadata"].get("annotations") or {})  # deleted, and made anew
            if new["metadata"]["name"] == old["metadata"]["name"] and not is_hook:
                wrong += [f"{old['kind']} {old['metadata']['name']}: {field}" for field in fixed(old, new)]
    assert wrong == []


def fixed(old, new):
    """Fields that differ and that an API server lets nobody change."""
    kind, one, other = old["kind"], old["spec"], new["spec"]
    if kind == "StatefulSet":
        free = {"replicas", "template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"}
        free |= {"persistentVolumeClaimRetentionPolicy", "ordinals"}
        return [field for field in one.keys() | other.keys() if field not in free and one.get(field) != other.get(field)]
    # A Job's template can be changed by nobody: another one has another name.
    fields = {"Job": ["template", "completions"], "Deployment": ["selector"], "Service": ["clusterIP"]}[kind]
    return [field for field in fields if one.get(field) != other.get(field)]


def test_nothing_that_is_random_or_of_the_moment_is_in_a_template():
    text = "".join(path.read_text() for path in sorted((helm.CHART / "templates").rglob("*")) if path.is_file())
    calls = re.compile(r"\b(rand\w+|uuidv4|now|genCA\w*|genSigned\w*|genSelf\w*|genPrivateKey|htpasswd|lookup)\b")
    code = re.sub(r"\{\{-? */\*.*?\*/ *-?\}\}", "", text, flags=re.DOTALL)
    found = [call for action in re.findall(r"\{\{.*?\}\}", code, re.DOTALL) for call in calls.findall(re.sub(r'"[^"]*"', "", action))]
    assert found == []


def test_what_holds_peoples_data_stays_when_the_release_goes():
    """Claims of StatefulSets always do; others say so."""
    claims = release("sqlite").all("PersistentVolumeClaim") + release("cloudnativepg").all("Cluster", "Database")
    assert len(claims) == 3 + 1 + 3
    assert {claim["metadata"]["annotations"]["helm.sh/resource-policy"] for claim in claims} == {"keep"}
    policies = [one["spec"].get("persistentVolumeClaimRetentionPolicy") for one in release("local").all("StatefulSet")]
    assert policies == [None] * 3


def test_the_values_of_the_local_release_make_no_difference_to_where_it_comes_from():
    """A file given twice, as scripts do, is the same release."""
    assert helm.render(LOCAL, LOCAL).text == release("local").text
