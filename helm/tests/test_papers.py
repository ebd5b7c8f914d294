"""What is written beside the chart says what the chart does."""

import re
import subprocess
import sys

import helm
from cases import LOCAL, release
from helm import CHART, ROOT


def test_the_readme_and_the_schema_are_those_of_the_values_and_of_the_services():
    checked = subprocess.run(
        [sys.executable, ROOT / "deploy" / "tools" / "chart-papers.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_official_chart_of_nats_lets_everybody_do_what_the_bundled_one_does():
    bundled = helm.render(LOCAL).one("ConfigMap", "usher-nats")["data"]["nats.conf"]
    users = {}
    for user in re.findall(r"nkey: \$(\w+)(.*?)subscribe: \[(.*?)\]", bundled, re.DOTALL):
        name, publish, subscribe = user
        users[name] = (set(re.findall(r'"(.*?)"', publish)), set(re.findall(r'"(.*?)"', subscribe)))
    official = helm.read(CHART / "nats-production.example.yaml")["config"]["merge"]["authorization"]["users"]
    told = {}
    for user in official:
        permissions = user["permissions"]
        told[user["nkey"].strip("<>$ ")] = (set(permissions["publish"]), set(permissions["subscribe"]))
    assert sorted(users) == ["NKEY_ACCOUNTS", "NKEY_OPERATOR", "NKEY_VERIFICATION"]
    assert told == users


def test_alerts_and_autoscalers_speak_of_metrics_that_the_services_have():
    names = (ROOT / "services" / "kit" / "src" / "telemetry" / "names.rs").read_text()
    there = {name.replace(".", "_") for name in re.findall(r'"(usher\.[a-z_.]+)"', names)}
    rendered = release("everything")
    groups = rendered.all("PrometheusRule")[0]["spec"]["groups"]
    queries = [rule["expr"] for group in groups for rule in group["rules"]]
    for scaled in rendered.all("ScaledObject"):
        queries += [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"] if trigger["type"] == "prometheus"]
    # Labels are named like attributes; units and the sign of a counter are the exporter's.
    named = {re.sub(r"_(total|seconds)$", "", name) for query in queries for name in re.findall(r"usher_[a-z_]+", query)}
    assert len(named) > 6
    assert named <= there, f"there is no {named - there}"
