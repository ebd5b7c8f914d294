"""A Cluster of CloudNativePG fits the secrets that are made for it."""

import json

import helm
from cases import MINIMAL, release

SERVICES = ("accounts", "mailer", "verification")


def plan(rendered):
    secrets = json.loads(rendered.one("ConfigMap", "usher-secrets")["data"]["plan.json"])["secrets"]
    return {secret["name"]: secret["keys"] for secret in secrets}


def test_each_role_has_a_password_that_is_made_and_stands_in_the_url_of_its_service_alone():
    rendered = release("cloudnativepg")
    roles = rendered.one("Cluster", "usher-postgres")["spec"]["managed"]["roles"]
    made = plan(rendered)
    assert sorted(role["name"] for role in roles) == sorted(SERVICES)
    for role in roles:
        name, secret = role["name"], role["passwordSecret"]["name"]
        assert made[secret] == {"username": {"kind": "text", "text": name}, "password": {"kind": "password"}}
        for service in SERVICES:
            url = made[f"usher-{service}"]["database-url"]["text"]
            assert (f"${{{secret}/password}}" in url) == (service == name)
            assert url.endswith(f"@usher-postgres-rw:5432/{service}?sslmode=require")


def test_each_service_has_a_database_that_its_role_owns():
    databases = release("cloudnativepg").all("Database")
    assert sorted((one["spec"]["name"], one["spec"]["owner"]) for one in databases) == [(name, name) for name in SERVICES]
    assert {one["spec"]["cluster"]["name"] for one in databases} == {"usher-postgres"}


def test_secrets_of_ones_own_and_a_cluster_of_the_charts_exclude_each_other():
    values = {"database": {"mode": "cloudnativepg", "cloudnativepg": {"render": "always"}}}
    said = helm.refusal(MINIMAL, values=values)
    assert all(f"services.{name}.database: with database.mode cloudnativepg" in said for name in SERVICES)
