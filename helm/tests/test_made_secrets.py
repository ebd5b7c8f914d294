"""Secrets are made before all else, so that no pod starts without them."""

import pytest

from cases import CASES, release


@pytest.mark.parametrize("case", [case for case in CASES if case != "given secrets"])
def test_the_job_comes_before_all_else_and_what_it_needs_before_it(case):
    rendered = release(case)
    hooks = {}
    for one in rendered.documents:
        annotations = one["metadata"].get("annotations") or {}
        if annotations.get("helm.sh/hook") == "pre-install,pre-upgrade":
            hooks[one["kind"]] = int(annotations["helm.sh/hook-weight"])
    job = hooks.pop("Job")
    policy = {"NetworkPolicy"} if rendered.all("NetworkPolicy") else set()
    assert set(hooks) == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap"} | policy
    assert all(weight < job for weight in hooks.values())
