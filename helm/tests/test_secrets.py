"""Secrets are files, each in the pod that needs it and nowhere else; and what is to be made is what is mounted."""

import json
import re

import pytest

from cases import CASES, release

# Who has which secrets as files: Secret/key. Everybody else has none.
BUNDLED = {
    "accounts": "usher-keys/admin-token usher-keys/fingerprint-key usher-accounts/database-url usher-accounts/nats-seed",
    "verification": "usher-keys/admin-token usher-keys/code-keys usher-verification/database-url "
    "usher-verification/nats-seed",
    "mailer": "usher-keys/admin-token usher-keys/address-keys usher-mailer/database-url usher-mailer/mail-url",
    "migrations": "usher-accounts/database-url usher-verification/database-url usher-mailer/database-url "
    "usher-operator/nats-seed",
    "nats": "usher-nats-routes/routes.conf",
    "postgres": "usher-postgres/accounts usher-postgres/verification usher-postgres/mailer",
    "mailbox": "usher-mailbox/login",
}
WANTED = {
    "three replicas": BUNDLED,
    "local": BUNDLED | {"nats": ""},
    "sqlite": {
        component: " ".join(word for word in line.split() if "database-url" not in word)
        for component, line in BUNDLED.items()
        if component not in ("nats", "postgres")
    },
    "minimal": {
        "accounts": "usher-keys/admin-token usher-keys/fingerprint-key accounts-database/database-url "
        "usher-accounts/nats-seed",
        "verification": "usher-keys/admin-token usher-keys/code-keys verification-database/database-url "
        "usher-verification/nats-seed",
        "mailer": "usher-keys/admin-token usher-keys/address-keys mailer-database/database-url mail-server/mail-url",
        "migrations": "accounts-database/database-url verification-database/database-url "
        "mailer-database/database-url usher-operator/nats-seed",
    },
    "given secrets": {
        "accounts": "given-token/token given-keys/fingerprints accounts-database/database-url "
        "given-nats/accounts.creds",
        "verification": "given-token/token given-keys/codes verification-database/database-url "
        "given-nats/verification.creds",
        "mailer": "given-token/token given-keys/addresses mailer-database/database-url mail-server/mail-url",
        "migrations": "accounts-database/database-url verification-database/database-url "
        "mailer-database/database-url given-nats/operator.creds",
    },
    "cloudnativepg": BUNDLED | {"mailer": BUNDLED["mailer"].replace("usher-mailer/mail-url", "mail-server/mail-url")},
}
for _external in ("nats", "postgres", "mailbox"):
    WANTED["cloudnativepg"].pop(_external)

EACH = pytest.mark.parametrize("case", CASES)
# A login in a URL; what stands in its place until the secret is made is none.
LOGIN = re.compile(r"[a-z]+://[^/\s@\"']*:(?!\$\{)[^/\s@\"'$]+@")
SECRET_WORD = re.compile(r"(PASSWORD|TOKEN|SEED|SECRET|CREDENTIALS|_KEYS?|DATABASE_URL|MAIL_URL)$")


def files(pod):
    """(Secret, key, path below the mount, optional) of every secret that a pod mounts."""
    for volume in pod.spec.get("volumes") or []:
        sources = [{"secret": volume["secret"] | {"name": volume["secret"]["secretName"]}}] if "secret" in volume else []
        for source in sources + (volume.get("projected") or {}).get("sources", []):
            if "secret" in source:
                # Without `items` a pod would see whatever is in it.
                for item in source["secret"]["items"]:
                    yield source["secret"]["name"], item["key"], item["path"], source["secret"].get("optional", False)


@pytest.mark.parametrize("case", WANTED)
def test_each_pod_mounts_its_own_secrets_and_no_other(case):
    found = {pod.component: {f"{secret}/{key}" for secret, key, _, _ in files(pod)} for pod in release(case).pods()}
    wanted = {component: set(line.split()) for component, line in WANTED[case].items()}
    assert {one: some for one, some in found.items() if some} == {one: some for one, some in wanted.items() if some}


@EACH
def test_only_containers_that_need_secrets_see_them(case):
    """In Postgres's pod, what serves has no passwords; in the Job that migrates, nobody has another one's."""
    rendered = release(case)
    for pod in rendered.pods():
        if pod.component == "migrations":
            seen = [mount["name"] for container in pod.containers() for mount in container.get("volumeMounts") or []]
            assert len(seen) == len(set(seen)) == len(list(files(pod)))
        if pod.component == "postgres":
            serves = pod.spec["containers"][0]
            assert "passwords" not in {mount["name"] for mount in serves["volumeMounts"]}
        for container in pod.containers():
            for mount in container.get("volumeMounts") or []:
                if mount["name"] not in ("data", "tmp", "run"):
                    assert mount["readOnly"] is True


@EACH
def test_a_service_starts_without_its_secrets_and_says_what_it_lacks(case):
    rendered = release(case)
    for component in ("accounts", "verification", "mailer", "migrations"):
        for pod in rendered.pods():
            if pod.component == component:
                assert [secret for secret, _, _, optional in files(pod) if not optional] == []


@EACH
def test_no_secret_is_in_the_environment(case):
    """But for the public halves of NATS's users, which no service has."""
    wrong = []
    for pod in release(case).pods():
        for container in pod.containers():
            for entry in container.get("env") or []:
                reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
                is_public = pod.component == "nats" and entry["name"].startswith("NKEY_")
                value = entry.get("value", "")
                if (reference and not is_public) or LOGIN.search(value):
                    wrong.append(f"{pod.component}: {entry['name']}")
                # A name that promises a secret leads to a file.
                if SECRET_WORD.search(entry["name"]) and not (value.startswith(("/", "sqlite:", "smtp://mail.")) or is_public):
                    wrong.append(f"{pod.component}: {entry['name']}={value}")
            wrong += [f"{pod.component}: envFrom a Secret" for one in container.get("envFrom") or [] if "secretRef" in one]
    assert wrong == []


@EACH
def test_no_secret_is_in_arguments_configmaps_annotations_or_a_secret_of_the_charts(case):
    rendered = release(case)
    assert rendered.names("Secret") == []
    assert LOGIN.findall(rendered.text) == []


def test_a_secret_that_got_into_the_environment_or_a_configmap_is_noticed():
    assert LOGIN.search("USHER_MAIL_URL: smtp://me:word@mail.example.com")
    assert LOGIN.search('url: "postgres://accounts:word@db/accounts"')
    assert not LOGIN.search("postgres://accounts:${usher-postgres/accounts}@usher-postgres:5432/accounts")
    assert not LOGIN.search("http://collector.observability:4317")


def plan(rendered):
    maps = [one for one in rendered.all("ConfigMap") if "plan.json" in one["data"]]
    return json.loads(maps[0]["data"]["plan.json"]) if maps else {"secrets": []}


MADE = [case for case in CASES if case not in ("given secrets",)]


@pytest.mark.parametrize("case", MADE)
def test_what_is_mounted_is_made_unless_it_was_named(case):
    rendered = release(case)
    made = {f"{secret['name']}/{key}" for secret in plan(rendered)["secrets"] for key in secret["keys"]}
    names = {secret["name"] for secret in plan(rendered)["secrets"]}
    mounted = {(secret, key) for pod in rendered.pods() for secret, key, _, _ in files(pod)}
    prefix = rendered.one("ConfigMap", rendered.pod("secrets").spec["serviceAccountName"])["metadata"]["name"]
    of_release = {f"{secret}/{key}" for secret, key in mounted if secret.startswith(prefix.removesuffix("-secrets") + "-")}
    given = {"usher-mail/mail-url"}  # the production example's own
    assert of_release - made - given == set()
    assert len(names) == len(plan(rendered)["secrets"]), "a Secret stands twice in the plan"


def used(secret):
    """Secret/key of all that a planned Secret is made of."""
    for key in secret["keys"].values():
        yield from re.findall(r"\$\{([^}]+)\}", key.get("text", "")) + ([key["of"]] if "of" in key else [])


@pytest.mark.parametrize("case", MADE)
def test_what_a_secret_of_the_plan_is_made_of_stands_in_the_plan(case):
    secrets = plan(release(case))["secrets"]
    made = {f"{secret['name']}/{key}" for secret in secrets for key in secret["keys"]}
    assert {one for secret in secrets for one in used(secret)} - made == set()


@pytest.mark.parametrize("case", MADE)
def test_the_job_that_makes_secrets_may_touch_those_and_no_others(case):
    rendered = release(case)
    role = rendered.all("Role")
    assert len(role) == 1 and rendered.all("ClusterRole", "ClusterRoleBinding") == []
    rules = role[0]["rules"]
    names = [name for rule in rules if "create" not in rule["verbs"] for name in rule["resourceNames"]]
    assert sorted(names) == sorted(secret["name"] for secret in plan(rendered)["secrets"])
    assert {resource for rule in rules for resource in rule["resources"]} == {"secrets"}
    assert {verb for rule in rules for verb in rule["verbs"]} == {"create", "get", "patch"}
    binding = rendered.all("RoleBinding")[0]
    users = [pod.component for pod in rendered.pods() if pod.spec.get("serviceAccountName") == binding["subjects"][0]["name"]]
    assert users == ["secrets"]


def test_nobody_makes_secrets_where_all_are_given():
    rendered = release("given secrets")
    assert "secrets" not in {pod.component for pod in rendered.pods()}
    assert rendered.all("Role", "RoleBinding") == []


def test_each_service_account_is_of_one_component_and_mounts_no_token():
    rendered = release("three replicas")
    accounts = rendered.all("ServiceAccount")
    assert [one["metadata"]["name"] for one in accounts if one.get("automountServiceAccountToken") is not False] == []
    used = [pod.spec.get("serviceAccountName") for pod in rendered.pods() if "serviceAccountName" in pod.spec]
    assert sorted(used) == rendered.names("ServiceAccount")


def test_a_secret_that_others_are_made_from_may_be_read_where_somebody_else_made_it():
    rendered = release("local", values={"database": {"bundled": {"passwords": {"secret": "mine"}}}})
    assert "mine/accounts" in {one for secret in plan(rendered)["secrets"] for one in used(secret)}
    names = [name for rule in rendered.all("Role")[0]["rules"] for name in rule.get("resourceNames", [])]
    assert "mine" in names
    assert "mine" not in [secret["name"] for secret in plan(rendered)["secrets"]]
