"""Who reaches whom: the policies, evaluated for every pair and port, against what is wanted, written down here."""

import pytest

from cases import release
from policies import Place, allows, open_ports

# Everything that the release's pods may open, and who from outside may call them. What is not here is refused.
# "anywhere" is every place outside of the release, for parties whose place the values do not say.
ALL_BUNDLED = {
    "accounts": "dns:53 postgres:5432 nats:4222 jaeger:4317",
    "verification": "dns:53 postgres:5432 nats:4222 jaeger:4317 mailer:50053",
    "mailer": "dns:53 postgres:5432 jaeger:4317 mailbox:1025",
    "migrations": "dns:53 postgres:5432 nats:4222",
    "secrets": "dns:53 anywhere:443 anywhere:6443",
    "smoke": "dns:53 accounts:50051 verification:50052 mailbox:8025 jaeger:4317 jaeger:16686",
    "nats": "dns:53 nats:6222",
    "caller": "accounts:50051 verification:50052",
    "prometheus": "accounts:50151 verification:50152 mailer:50153 nats:8222",
    "keda": "nats:8222",
}
ALL_EXTERNAL = {
    "accounts": "dns:53 anywhere:5432 anywhere:4222",
    "verification": "dns:53 anywhere:5432 anywhere:4222 mailer:50053",
    "mailer": "dns:53 anywhere:5432 anywhere:25 anywhere:465 anywhere:587",
    "migrations": "dns:53 anywhere:5432 anywhere:4222",
    "secrets": "dns:53 anywhere:443 anywhere:6443",
    "smoke": "dns:53 accounts:50051 verification:50052",
    "caller": "accounts:50051 verification:50052",
    "prometheus": "accounts:50151 verification:50152 mailer:50153",
}
WANTED = {
    "local": ALL_BUNDLED,
    "three replicas": ALL_BUNDLED,
    "sqlite": {
        name: " ".join(word for word in line.split() if word != "postgres:5432") for name, line in ALL_BUNDLED.items()
    },
    "minimal": ALL_EXTERNAL,
    "given secrets": {name: line for name, line in ALL_EXTERNAL.items() if name != "secrets"},
    "production": {
        "accounts": "dns:53 cnpg:5432 broker:4222 collector:4317",
        "verification": "dns:53 cnpg:5432 broker:4222 collector:4317 mailer:50053",
        "mailer": "dns:53 cnpg:5432 collector:4317 anywhere:465",
        "migrations": "dns:53 cnpg:5432 broker:4222",
        "secrets": "dns:53 anywhere:443 anywhere:6443",
        "smoke": "dns:53 accounts:50051 verification:50052",
        "gateway": "accounts:50051 verification:50052",
        "prometheus": "accounts:50151 verification:50152 mailer:50153",
    },
}


def outside(name, number, namespace, **labels):
    return Place(name, f"10.244.9.{number}", namespace, labels, {"kubernetes.io/metadata.name": namespace})


OUTSIDE = [
    outside("dns", 1, "kube-system", **{"k8s-app": "kube-dns"}),
    outside("system", 2, "kube-system", **{"k8s-app": "other"}),
    outside("caller", 3, "usher", **{"usher-caller": "true"}),
    outside("neighbour", 4, "usher", app="other"),
    outside("stranger", 5, "elsewhere", **{"usher-caller": "true"}),
    outside("prometheus", 6, "monitoring", app="prometheus"),
    outside("keda", 7, "keda", app="keda"),
    outside("gateway", 8, "gateway", app="envoy"),
    outside("collector", 9, "observability", app="collector"),
    outside("cnpg", 10, "usher", **{"cnpg.io/cluster": "usher-postgres"}),
    outside("broker", 11, "usher", **{"app.kubernetes.io/name": "nats"}),
    Place("node", "172.18.0.2"),
    Place("metadata", "169.254.169.254"),
    Place("internet", "203.0.113.5"),
]
OTHER_PORTS = [22, 25, 53, 80, 443, 465, 587, 4222, 4317, 5432, 6443, 8080, 10250]


def inside(rendered):
    """The pods of the release, each with its ports."""
    for number, pod in enumerate(rendered.pods()):
        ports = [port for container in pod.containers() for port in container.get("ports") or []]
        named = {port["name"]: (port["containerPort"], port.get("protocol", "TCP")) for port in ports}
        labels = {"kubernetes.io/metadata.name": "usher"}
        yield Place(pod.component, f"10.244.1.{number}", "usher", pod.labels, labels, named)


def matrix(rendered):
    """{(from, to, port, protocol)} of all that comes about, with the release at one end at least."""
    policies = rendered.all("NetworkPolicy")
    pods = list(inside(rendered))
    ports = sorted({number for pod in pods for number, _ in pod.ports.values()} | set(OTHER_PORTS))
    pairs = [(one, other) for one in pods for other in pods + OUTSIDE] + [(one, pod) for one in OUTSIDE for pod in pods]
    return {
        (source.name, target.name, port, protocol)
        for source, target in pairs
        for port, protocol in open_ports(policies, source, target, ports)
    }


def wanted(table):
    found = set()
    for source, line in table.items():
        for target, port in (word.split(":") for word in line.split()):
            targets = [place.name for place in OUTSIDE] if target == "anywhere" else [target]
            # By UDP only DNS is asked.
            protocols = ("TCP", "UDP") if target == "dns" else ("TCP",)
            found |= {(source, one, int(port), protocol) for one in targets for protocol in protocols}
    return found


@pytest.mark.parametrize("case", WANTED)
def test_the_matrix_is_the_wanted_one(case):
    found, expected = matrix(release(case)), wanted(WANTED[case])
    assert sorted(found - expected) == [], "these come about and should not"
    assert sorted(expected - found) == [], "these do not come about and should"


@pytest.mark.parametrize("kind", ["inline", "background"])
def test_accounts_reaches_verification_where_its_dispatcher_calls_it_and_nothing_else_changes(kind):
    rendered = release("local", values={"services": {"accounts": {"dispatcher": kind}}})
    calls = {"accounts": f"{ALL_BUNDLED['accounts']} verification:50052"}
    assert matrix(rendered) == wanted(ALL_BUNDLED | calls)


def test_the_matrix_notices_a_policy_that_is_missing_and_one_that_is_too_wide():
    rendered = release("local")
    expected = wanted(ALL_BUNDLED)
    for spoil in (without_the_default, with_open_postgres):
        spoilt = rendered.copy()
        spoil(spoilt)
        assert matrix(spoilt) != expected


def without_the_default(rendered):
    rendered.documents.remove(rendered.one("NetworkPolicy", "usher-default-deny"))
    rendered.documents.remove(rendered.one("NetworkPolicy", "usher-jaeger"))


def with_open_postgres(rendered):
    rendered.one("NetworkPolicy", "usher-postgres")["spec"]["ingress"] = [{"ports": [{"port": 5432}]}]


@pytest.mark.parametrize("case", WANTED)
def test_every_pod_is_isolated_in_both_directions_whatever_comes_beside_it(case):
    """Also a pod of the release that no other policy knows."""
    rendered = release(case)
    unknown = Place("unknown", "10.244.1.99", "usher", {
        key: value for key, value in rendered.pods()[0].labels.items() if key != "app.kubernetes.io/component"
    })  # fmt: skip
    policies = rendered.all("NetworkPolicy")
    assert policies
    assert not any(allows(policies, unknown, place, 443) or allows(policies, place, unknown, 443) for place in OUTSIDE)


def test_a_caller_that_the_values_name_comes_in_and_the_default_one_no_more():
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}]
    values = {"networkPolicy": {"parties": {"callers": {"peers": peers}}}}
    callers = {source for source, target, port, _ in matrix(release("local", values=values)) if port == 50051}
    assert callers == {"stranger", "smoke"}


def test_nobody_from_outside_comes_in_where_no_peers_are_named():
    nobody = {name: {"peers": []} for name in ("callers", "monitoring", "keda")}
    found = matrix(release("local", values={"networkPolicy": {"parties": nobody}}))
    assert {source for source, _, _, _ in found} & {place.name for place in OUTSIDE} == set()


def test_without_policies_there_are_none():
    assert release("bare").all("NetworkPolicy") == []
