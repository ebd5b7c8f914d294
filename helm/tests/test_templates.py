"""What the templates make of values: services, probes, stops, disruption, scaling, images, routes."""

import re

import pytest

import helm
from cases import CASES, LOCAL, MINIMAL, release
from policies import matches

EACH = pytest.mark.parametrize("case", CASES)
SERVICES = {"accounts": (50051, 50151), "verification": (50052, 50152), "mailer": (50053, 50153)}
OF_OTHERS = {"nats", "postgres", "jaeger"}


def container(rendered, component):
    return rendered.pod(component).spec["containers"][0]


def environment(rendered, component):
    return {entry["name"]: entry.get("value") for entry in container(rendered, component)["env"]}


def services(rendered):
    return [pod for pod in rendered.pods() if pod.component in SERVICES and pod.kind == "Deployment"]


def test_the_local_release_has_the_services_that_others_rely_on():
    assert release("local").names("Service") == sorted(
        ["usher-accounts", "usher-accounts-headless", "usher-verification", "usher-verification-headless"]
        + ["usher-mailer", "usher-mailer-headless", "usher-mailbox", "usher-nats", "usher-nats-headless"]
        + ["usher-postgres", "usher-jaeger"]
    )


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_reached_by_its_name_and_its_pods_by_the_headless_one(name):
    rendered = release("local")
    grpc, admin = SERVICES[name]
    assert {port["name"]: port["port"] for port in rendered.one("Service", f"usher-{name}")["spec"]["ports"]} == {
        "grpc": grpc,
        "admin": admin,
    }
    headless = rendered.one("Service", f"usher-{name}-headless")["spec"]
    assert headless["clusterIP"] == "None"
    assert headless.get("publishNotReadyAddresses", False) is False
    assert [port["port"] for port in headless["ports"]] == [grpc]


@EACH
def test_three_probes_of_a_service_have_three_meanings(case):
    for pod in services(release(case)):
        served = pod.spec["containers"][0]
        paths = [served[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")]
        assert paths == ["/startupz", "/livez", "/readyz"]
        assert {served[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "liveness", "readiness")} == {"admin"}
        startup = served["startupProbe"]
        assert startup["failureThreshold"] * startup["periodSeconds"] >= 60


@EACH
def test_no_two_probes_of_a_bundled_part_ask_the_same_but_to_start(case):
    for pod in release(case).pods():
        if pod.serves:
            served = pod.spec["containers"][0]
            asked = [{way: served[probe].get(way) for way in ("httpGet", "tcpSocket", "exec")} for probe in ("livenessProbe", "readinessProbe")]
            assert asked[0] != asked[1], pod.component


@EACH
def test_a_pod_has_the_time_to_be_taken_out_to_drain_and_to_send_its_traces(case):
    """The longest stop is the program's own."""
    source = (helm.ROOT / "services/kit/src/serve/signals.rs").read_text()
    longest = int(re.search(r"LONGEST_STOP: Duration = Duration::from_millis\(([\d_]+)\)", source)[1].replace("_", "")) / 1000
    for pod in services(release(case)):
        stop = pod.spec["containers"][0]["lifecycle"]["preStop"]
        # By the kubelet itself: there is no shell in the image.
        assert list(stop) == ["sleep"]
        assert pod.spec["terminationGracePeriodSeconds"] >= stop["sleep"]["seconds"] + longest


def replicas(rendered, owner):
    """How many there are at least."""
    name = owner["metadata"]["name"]
    for scaler in rendered.all("HorizontalPodAutoscaler", "ScaledObject"):
        if scaler["spec"]["scaleTargetRef"]["name"] == name:
            return scaler["spec"].get("minReplicas", scaler["spec"].get("minReplicaCount"))
    return owner["spec"]["replicas"]


@EACH
def test_no_budget_blocks_a_drain_and_whatever_is_there_twice_has_one(case):
    rendered = release(case)
    for owner in rendered.all("Deployment", "StatefulSet"):
        labels = owner["spec"]["template"]["metadata"]["labels"]
        budgets = [one["spec"] for one in rendered.all("PodDisruptionBudget") if matches(one["spec"]["selector"], labels)]
        assert len(budgets) == (1 if replicas(rendered, owner) > 1 else 0), owner["metadata"]["name"]
        for budget in budgets:
            assert budget.keys() == {"maxUnavailable", "unhealthyPodEvictionPolicy", "selector"}
            assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


@EACH
def test_whoever_scales_decides_alone_on_the_number_of_replicas(case):
    rendered = release(case)
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in rendered.all("HorizontalPodAutoscaler", "ScaledObject")]
    assert len(scaled) == len(set(scaled))
    for owner in rendered.all("Deployment", "StatefulSet"):
        assert ("replicas" in owner["spec"]) == (owner["metadata"]["name"] not in scaled)
    assert set(scaled) <= set(rendered.names("Deployment"))


def test_everything_is_scaled_by_what_waits_for_it():
    rendered = release("everything")
    assert rendered.names("HorizontalPodAutoscaler") == ["acme-mails-accounts"]
    triggers = {one["metadata"]["name"]: one["spec"]["triggers"] for one in rendered.all("ScaledObject")}
    assert [trigger["type"] for trigger in triggers["acme-mails-verification"]] == ["nats-jetstream"]
    assert [trigger["type"] for trigger in triggers["acme-mails-mailer"]] == ["prometheus"]
    durable = triggers["acme-mails-verification"][0]["metadata"]
    assert (durable["stream"], durable["consumer"]) == ("ACCOUNTS", "verification")


@EACH
def test_a_rollout_takes_nobody_away_before_another_one_serves(case):
    for pod in services(release(case)):
        strategy = pod.owner["spec"]["strategy"]
        if case == "sqlite":
            assert (strategy, pod.owner["spec"]["replicas"]) == ({"type": "Recreate"}, 1)
        else:
            assert strategy["rollingUpdate"]["maxUnavailable"] == 0


@EACH
def test_pods_are_spread_over_nodes_by_their_own_labels(case):
    for pod in release(case).pods():
        rules = pod.spec.get("topologySpreadConstraints") or []
        assert all(matches(rule["labelSelector"], pod.labels) for rule in rules)
        if pod.component in SERVICES and pod.kind == "Deployment":
            assert "kubernetes.io/hostname" in {rule["topologyKey"] for rule in rules}
            assert all(rule["matchLabelKeys"] == ["pod-template-hash"] for rule in rules)


@EACH
def test_no_pod_gets_a_variable_for_each_service_of_the_namespace(case):
    assert {pod.spec.get("enableServiceLinks") for pod in release(case).pods()} == {False}


def images(rendered):
    return {one["image"] for pod in rendered.pods() for one in pod.containers()}


def test_every_image_is_a_setting():
    own = {"repository": "r.example/own", "tag": "1"}
    values = {
        "image": own,
        "nats": {"image": own | {"repository": "r.example/nats"}},
        "database": {"bundled": {"image": own | {"repository": "r.example/postgres"}}},
        "jaeger": {"image": own | {"repository": "r.example/jaeger"}},
    }
    assert images(release("local", values=values)) == {f"r.example/{name}:1" for name in ("own", *OF_OTHERS)}


def test_a_digest_wins_over_a_tag():
    own = {"tag": "1", "digest": f"sha256:{'0' * 64}"}
    values = {"image": own, "nats": {"image": own}, "database": {"bundled": {"image": own}}, "jaeger": {"image": own}}
    assert {image.split("@")[1] for image in images(release("local", values=values))} == {own["digest"]}


def test_our_own_image_has_the_version_of_the_chart_and_no_image_is_the_latest():
    version = helm.read(helm.CHART / "Chart.yaml")["appVersion"]
    found = images(release("local"))
    assert f"usher:{version}" in found
    assert [image for image in found if not re.search(r":[^:/]+$", image) or image.endswith(":latest")] == []


def test_clients_balance_over_pods_or_leave_it_to_the_service():
    assert environment(release("minimal"), "verification")["USHER_MAILER_URL"] == "dns:///usher-mailer-headless:50053"
    served = environment(release("server balancing"), "verification")
    assert served["USHER_MAILER_URL"] == "http://usher-mailer:50053"
    assert "USHER_CONNECTION_AGE" in served


def test_accounts_is_told_where_verification_is_if_its_dispatcher_calls_it():
    by_broker = environment(release("minimal"), "accounts")
    assert by_broker["USHER_DISPATCHER"] == "jetstream"
    assert "USHER_VERIFICATION_URL" not in by_broker
    for kind in ("inline", "background"):
        calling = environment(release("minimal", values={"services": {"accounts": {"dispatcher": kind}}}), "accounts")
        assert calling["USHER_DISPATCHER"] == kind
        assert calling["USHER_VERIFICATION_URL"] == "dns:///usher-verification-headless:50052"


def test_a_variable_of_ones_own_replaces_the_charts_and_may_hold_a_template():
    found = environment(release("everything"), "accounts")
    assert (found["USHER_LOG_FORMAT"], found["REGION"]) == ("text", "usher")
    assert found["USHER_SIGN_UP_BATCH"] == "128"


@EACH
def test_a_service_is_told_only_what_it_reads(case):
    """A variable with a slip in its name would be ignored."""
    text = (helm.ROOT / "docs" / "settings.md").read_text()
    for name in SERVICES:
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        read = set(re.findall(r"^\| `(USHER_\w+)`", section, re.MULTILINE))
        assert len(read) > 20
        told = {variable for variable in environment(release(case), name) if variable.startswith("USHER_")}
        assert told - read == set()


def test_every_way_of_migrating_migrates_each_database_once_and_servers_never_do():
    by_job, by_pods, by_hand = release("minimal"), release("server balancing"), release("bare")
    migrate = [one["args"][:3] for one in by_job.pod("migrations").spec["initContainers"]]
    assert sorted(migrate) == [["migrate", "--service", name] for name in sorted(SERVICES)]
    for name in SERVICES:
        waits, migrates = (rendered.pod(name).spec["initContainers"][0]["args"] for rendered in (by_job, by_pods))
        assert waits[:4] == ["migrate", "status", "--service", name]
        assert migrates[:3] == ["migrate", "--service", name]
        assert "initContainers" not in by_hand.pod(name).spec
    assert "initContainers" not in by_pods.pod("migrations").spec
    assert [one["args"][:2] for one in by_pods.pod("migrations").spec["containers"]] == [["nats", "provision"]]
    assert "migrations" not in {pod.component for pod in by_hand.pods()}


@EACH
def test_the_job_that_migrates_is_no_hook_and_is_named_by_what_it_does(case):
    """A hook would wait for databases that come with the release, and the release for it."""
    for pod in release(case).pods():
        if pod.component == "migrations":
            assert not pod.is_hook
            assert re.fullmatch(r".*-migrations-[0-9a-f]{8,}", pod.name)


@EACH
def test_what_the_job_that_makes_secrets_needs_is_there_before_it_and_goes_after_it(case):
    rendered = release(case)
    hooks = [one for one in rendered.documents if "pre-install" in annotations(one).get("helm.sh/hook", "")]
    if case == "given secrets":
        assert hooks == []
        return
    weights = {one["kind"]: int(annotations(one)["helm.sh/hook-weight"]) for one in hooks}
    job = weights.pop("Job")
    assert weights.keys() >= {"ServiceAccount", "Role", "RoleBinding", "ConfigMap"}
    assert ("NetworkPolicy" in weights) == (case != "bare")
    assert max(weights.values()) < job
    for hook in hooks:
        assert annotations(hook)["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert "before-hook-creation" in annotations(hook)["helm.sh/hook-delete-policy"]
        # No right to secrets is left standing; the Job itself may stay for its log.
        assert hook["kind"] == "Job" or "hook-succeeded" in annotations(hook)["helm.sh/hook-delete-policy"]


def annotations(document):
    return document["metadata"].get("annotations") or {}


def test_streams_have_a_copy_on_each_bundled_server():
    for case, copies in (("local", "1"), ("three replicas", "3"), ("production", "3")):
        args = container(release(case), "migrations")["args"]
        assert args[args.index("--replicas") + 1] == copies


def test_routes_lead_to_the_public_services_and_to_none_else():
    rendered = release("everything")
    wanted = {"acme-mails-accounts": 50051, "acme-mails-verification": 50052}
    rules = rendered.all("GRPCRoute")[0]["spec"]["rules"]
    assert {back["name"]: back["port"] for rule in rules for back in rule["backendRefs"]} == wanted
    paths = rendered.all("Ingress")[0]["spec"]["rules"][0]["http"]["paths"]
    assert {path["backend"]["service"]["name"] for path in paths} == wanted.keys()
    contracts = "".join(path.read_text() for path in sorted((helm.ROOT / "proto" / "usher").rglob("*.proto")))
    named = [match["method"]["service"] for rule in rules for match in rule["matches"]]
    assert [path["path"] for path in paths] == [f"/{name}" for name in named]
    for name in named:
        package, service = name.rsplit(".", 1)
        assert f"package {package};" in contracts and f"service {service} " in contracts


def test_metrics_are_asked_for_once_a_pod_and_alerts_ask_for_metrics_that_there_are():
    rendered = release("everything")
    monitor = rendered.all("ServiceMonitor")[0]["spec"]
    chosen = [one for one in rendered.all("Service") if matches(monitor["selector"], one["metadata"]["labels"])]
    asked = [one["metadata"]["name"] for one in chosen if monitor["endpoints"][0]["port"] in [port["name"] for port in one["spec"]["ports"]]]
    assert asked == [f"acme-mails-{name}" for name in sorted(SERVICES)]
    names = (helm.ROOT / "services/kit/src/telemetry/names.rs").read_text()
    ours = {name.replace(".", "_") for name in re.findall(r'"(usher\.[a-z_.]+)"', names)}
    rules = rendered.all("PrometheusRule")[0]["spec"]["groups"][0]["rules"]
    used = {name for rule in rules for name in re.findall(r"\busher_[a-z_]+", re.sub(r"\{[^}]*\}", "", rule["expr"]))}
    used -= set(re.findall(r"usher_[a-z_]+", " ".join(re.findall(r"by \(([^)]*)\)", " ".join(rule["expr"] for rule in rules)))))
    assert len(used) >= 6
    assert [name for name in used if re.sub(r"(_seconds)?(_total|_bucket|_count)?$", "", name) not in ours] == []


def test_notes_say_what_to_do_next_and_name_what_is_there(tmp_path):
    chart = helm.copy_of_the_chart(tmp_path)
    (chart / "templates" / "notes.yaml").write_text(
        'kind: ConfigMap\napiVersion: v1\nmetadata: {name: notes}\ndata:\n'
        '  text: {{ include (print $.Template.BasePath "/NOTES.txt") . | quote }}\n'
    )  # fmt: skip
    for file in (LOCAL, MINIMAL):
        rendered = helm.render(file, chart=chart)
        text = rendered.one("ConfigMap", "notes")["data"]["text"]
        assert "helm test usher --namespace usher" in text
        named = re.findall(r"service/(\S+)", text)
        assert named and set(named) <= set(rendered.names("Service"))
