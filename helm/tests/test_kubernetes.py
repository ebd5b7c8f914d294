"""An API server of each version would take every document: its schemas, and what they do not say."""

import collections
import copy
import re

import pytest

import kubernetes
from cases import CASES, release
from policies import matches

EACH = pytest.mark.parametrize("case", CASES)

# Kinds of others, which come with what is installed on top; Kubernetes' schemas do not have them. The fields that we
# write, as their definitions of August 2026 have them: another one is to be looked up there before it stands here.
OF_OTHERS = {
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): "hostnames parentRefs.name parentRefs.namespace "
    "parentRefs.sectionName rules.backendRefs.name rules.backendRefs.port rules.matches.method.service",
    ("keda.sh/v1alpha1", "ScaledObject"): "cooldownPeriod fallback.failureThreshold fallback.replicas maxReplicaCount "
    "minReplicaCount pollingInterval scaleTargetRef.name triggers.type triggers.metadata.account "
    "triggers.metadata.consumer triggers.metadata.lagThreshold triggers.metadata.natsServerMonitoringEndpoint "
    "triggers.metadata.query triggers.metadata.serverAddress triggers.metadata.stream triggers.metadata.threshold",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): "endpoints.interval endpoints.path endpoints.port "
    "endpoints.scrapeTimeout selector.matchExpressions.key selector.matchExpressions.operator "
    "selector.matchExpressions.values selector.matchLabels.app.kubernetes.io/instance "
    "selector.matchLabels.app.kubernetes.io/name",
    ("monitoring.coreos.com/v1", "PrometheusRule"): "groups.name groups.rules.alert groups.rules.expr groups.rules.for "
    "groups.rules.labels.severity groups.rules.annotations.summary groups.rules.annotations.description",
    ("postgresql.cnpg.io/v1", "Cluster"): "instances enableSuperuserAccess monitoring.enablePodMonitor storage.size "
    "resources.limits.memory resources.requests.cpu resources.requests.memory managed.roles.name managed.roles.login "
    "managed.roles.passwordSecret.name",
    ("postgresql.cnpg.io/v1", "Database"): "cluster.name name owner",
}

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
HOST_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?")


@EACH
@pytest.mark.parametrize("version", kubernetes.VERSIONS)
def test_documents_are_as_the_schema_says(case, version):
    wrong = [
        f"{document['kind']} {document['metadata']['name']}: {error}"
        for document in release(case).documents
        if kubernetes.knows(document, version)
        for error in kubernetes.errors(document, version)
    ]
    assert wrong == []


@EACH
def test_kinds_of_others_have_no_fields_but_those_that_were_looked_up(case):
    for document in release(case).documents:
        if not kubernetes.knows(document, kubernetes.VERSIONS[0]):
            known = OF_OTHERS[document["apiVersion"], document["kind"]].split()
            assert set(fields(document["spec"])) <= set(known), document["kind"]


def fields(value, path=()):
    """Dotted paths of all values, those in lists without numbers."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from fields(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, path)
    else:
        yield ".".join(path)


@pytest.mark.parametrize("version", kubernetes.VERSIONS)
def test_the_schema_notices_a_misspelt_field_and_a_number_that_is_text(version):
    deployment = copy.deepcopy(release("local").one("Deployment", "usher-accounts"))
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    deployment["spec"]["replicas"] = "1"
    assert len(kubernetes.errors(deployment, version)) == 2


def amount(text):
    """A quantity as a number."""
    digits, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    factors = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return float(digits) * factors[unit]


@EACH
def test_nobody_asks_for_more_than_he_may_have(case):
    wrong = []
    for pod in release(case).pods():
        for container in pod.containers():
            asked, most = (container["resources"].get(part, {}) for part in ("requests", "limits"))
            wrong += [f"{pod.name}: {name}" for name in most if amount(asked.get(name, 0)) > amount(most[name])]
    assert wrong == []


@pytest.mark.parametrize("case", ["local", "three replicas", "minimal"])
def test_what_nats_may_keep_has_room_on_its_volume_and_in_its_memory(case):
    rendered = release(case, values={"nats": {"mode": "bundled", "url": ""}})
    nats = rendered.pod("nats")
    said = dict(re.findall(r"max_(file|memory)_store: (\S+)", rendered.one("ConfigMap", "usher-nats")["data"]["nats.conf"]))
    volume = nats.owner["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
    assert amount(said["file"]) < amount(volume)
    assert amount(said["memory"]) < amount(nats.containers()[0]["resources"]["limits"]["memory"]) / 2


@EACH
def test_no_list_has_two_entries_that_a_server_cannot_tell_apart(case):
    known = [one for one in release(case).documents if kubernetes.knows(one, "1.34")]
    assert [double for document in known for double in kubernetes.doubles(document, "1.34")] == []


def test_a_variable_a_port_and_a_volume_that_stand_twice_are_noticed():
    document = copy.deepcopy(release("local").one("Deployment", "usher-accounts"))
    pod = document["spec"]["template"]["spec"]
    served = pod["containers"][0]
    served["env"].append({"name": "USHER_LISTEN", "value": "x"})
    served["ports"].append({"name": "other", "containerPort": 50051, "protocol": "TCP"})
    pod["volumes"].append({"name": "secrets", "emptyDir": {}})
    assert len(kubernetes.doubles(document, "1.34")) == 3


@EACH
def test_no_object_is_there_twice(case):
    places = collections.Counter((one["kind"], one["metadata"]["name"]) for one in release(case).documents)
    assert [place for place, times in places.items() if times > 1] == []


@EACH
def test_names_and_labels_are_such_as_kubernetes_takes(case):
    wrong = []
    for document in release(case).documents:
        name = document["metadata"]["name"]
        fine = NAME.fullmatch(name) and (document["kind"] != "Service" or HOST_LABEL.fullmatch(name))
        # A StatefulSet's pods carry its name, a revision and a hash in a label.
        fine = fine and (document["kind"] != "StatefulSet" or len(name) <= 52)
        wrong += [] if fine else [name]
        for labels in (document["metadata"].get("labels") or {}, *(pod.labels for pod in release(case).pods())):
            wrong += [f"{key}={value}" for key, value in labels.items() if not LABEL.fullmatch(value)]
    assert wrong == []


@pytest.mark.parametrize("long", ["a-name-of-a-release-as-long-as-helm-allows-it-to-be-53", "usher-for-a-team-whose-name-is-as-long-as-helm-allows"])
def test_a_long_name_of_the_release_is_cut_so_that_all_names_fit(long):
    names = []
    for case in ("local", "three replicas", "everything"):
        values = {"fullnameOverride": "", "nameOverride": ""}
        rendered = release(case, name=long[:53], values=values)
        names += [one["metadata"]["name"] for one in rendered.all("Service", "StatefulSet", "Job", "Deployment")]
    assert [name for name in names if not HOST_LABEL.fullmatch(name)] == []


@EACH
def test_selectors_take_the_pods_that_they_are_made_for_and_no_others(case):
    rendered = release(case)
    for owner in rendered.all("Deployment", "StatefulSet"):
        selector = owner["spec"]["selector"]
        taken = [pod.name for pod in rendered.pods() if matches(selector, pod.labels)]
        assert taken == [owner["metadata"]["name"]]
    for budget in rendered.all("PodDisruptionBudget"):
        taken = [pod.name for pod in rendered.pods() if matches(budget["spec"]["selector"], pod.labels)]
        assert len(taken) == 1


@EACH
def test_ports_of_services_and_probes_lead_to_ports_of_pods(case):
    rendered = release(case)
    wrong = []
    for service in rendered.all("Service"):
        pods = [pod for pod in rendered.pods() if matches({"matchLabels": service["spec"]["selector"]}, pod.labels)]
        assert len(pods) == 1, f"{service['metadata']['name']} leads to {len(pods)} kinds of pods"
        there = ports(pods[0])
        wanted = [port["targetPort"] for port in service["spec"]["ports"]]
        wrong += [f"{service['metadata']['name']}: {port}" for port in wanted if port not in there]
        # The policies and the URLs of clients go by one number.
        numbers = [(port["port"], there.get(port["targetPort"])) for port in service["spec"]["ports"]]
        wrong += [f"{service['metadata']['name']}: {one} is not {other}" for one, other in numbers if one != other]
    for pod in rendered.pods():
        for container in pod.containers():
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                for way in ("httpGet", "tcpSocket", "grpc"):
                    port = container.get(probe, {}).get(way, {}).get("port")
                    wrong += [f"{pod.name}: {probe} to {port}"] if port and port not in ports(pod) else []
    assert wrong == []


def ports(pod):
    """name → number"""
    there = [port for container in pod.containers() for port in container.get("ports") or []]
    assert [port["name"] for port in there if not PORT_NAME.fullmatch(port["name"])] == []
    assert len({port["name"] for port in there}) == len(there)
    return {port["name"]: port["containerPort"] for port in there}


@EACH
def test_what_a_pod_mounts_is_there(case):
    """Each mount has its volume, each volume a mount, each of our ConfigMaps and claims an object."""
    rendered = release(case)
    wrong = []
    for pod in rendered.pods():
        claimed = [claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates") or []]
        volumes = [volume["name"] for volume in pod.spec.get("volumes") or []] + claimed
        mounts = {mount["name"] for container in pod.containers() for mount in container.get("volumeMounts") or []}
        if len(volumes) != len(set(volumes)) or set(volumes) != mounts:
            wrong.append(f"{pod.name} mounts {sorted(mounts)} of {sorted(volumes)}")
        for container in pod.containers():
            paths = [mount["mountPath"] for mount in container.get("volumeMounts") or []]
            wrong += [f"{pod.name}: {paths}"] if len(paths) != len(set(paths)) else []
        for kind, name in references(pod):
            wrong += [f"{pod.name}: {kind} {name}"] if name not in [*rendered.names(kind), *BY_OTHERS] else []
    assert wrong == []


BY_OTHERS = ("authorities", "kube-root-ca.crt", "default")  # of everything.yaml; of every namespace


def references(pod):
    """(kind, name) of what a pod cannot start without; Secrets are looked at elsewhere."""
    yield "ServiceAccount", pod.spec.get("serviceAccountName", "default")
    for volume in pod.spec.get("volumes") or []:
        sources = (volume, *(volume.get("projected") or {}).get("sources", []))
        for source in sources:
            if "configMap" in source:
                yield "ConfigMap", source["configMap"]["name"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]


@EACH
def test_variables_refer_to_those_before_them(case):
    wrong = []
    for pod in release(case).pods():
        for container in pod.containers():
            seen = set()
            for entry in container.get("env") or []:
                used = set(re.findall(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)", entry.get("value") or ""))
                wrong += [f"{pod.name}: {entry['name']} uses {name}" for name in used - seen]
                seen.add(entry["name"])
    assert wrong == []
