"""Both Helms lint and render every case, and say the same."""

import pytest

import helm
from cases import APIS, CASES, MINIMAL, release

EACH = pytest.mark.parametrize("case", CASES)


@pytest.fixture(params=helm.KINDS)
def kind(request):
    """Either Helm."""
    helm.need(request.param)
    return request.param


@EACH
def test_lint_finds_nothing(case, kind):
    without_a_cluster = {"database": {"cloudnativepg": {"render": "always"}}} if CASES[case].apis else {}
    assert helm.lint(*CASES[case].files, values=without_a_cluster, kind=kind) == []


def test_lint_notices_what_the_templates_refuse(kind):
    assert helm.lint(MINIMAL, values={"nats": {"url": ""}}, kind=kind) != []


def test_lint_notices_a_template_that_is_no_yaml(kind, tmp_path):
    chart = helm.copy_of_the_chart(tmp_path)
    (chart / "templates" / "broken.yaml").write_text("kind: ConfigMap\n  metadata: {}\n")
    assert helm.lint(MINIMAL, chart=chart, kind=kind) != []


@EACH
def test_both_helms_render_the_same(case, kind):
    assert release(case, kind=kind).documents == release(case).documents


@EACH
def test_two_renders_are_the_same_to_the_byte(case, kind):
    assert release(case, kind=kind, attempt=2).text == release(case, kind=kind).text


@EACH
def test_every_kubernetes_gets_the_same(case):
    assert release(case, kube=helm.OLDEST).text == release(case, kube=helm.NEWEST).text


def test_a_kubernetes_without_what_the_chart_needs_is_refused(kind):
    assert "1.29" in helm.refusal(MINIMAL, kube="1.29.0", kind=kind)


def test_another_name_of_the_release_is_in_every_name():
    """But for what people named themselves; so that two releases share a namespace."""
    first, second = (
        {(document["kind"], document["metadata"]["name"]) for document in release("local", name=name).documents}
        for name in ("usher", "other")
    )
    assert not first & second
    assert all(name.startswith("other-usher") for _, name in second)


@EACH
def test_everything_is_in_the_namespace_of_the_release_but_what_people_add(case):
    homes = {one["metadata"].get("namespace") for one in release(case, values={"extraObjects": []}).documents}
    assert homes == {"usher"}


OPTIONAL = {
    "GRPCRoute": lambda render: {"grpcRoute": {"render": render}},
    "ServiceMonitor": lambda render: {"monitoring": {"serviceMonitor": {"render": render}}},
    "PrometheusRule": lambda render: {"monitoring": {"prometheusRule": {"render": render}}},
}


@pytest.mark.parametrize("of_others", OPTIONAL)
@pytest.mark.parametrize("mode, apis, there", [("auto", APIS, 1), ("auto", (), 0), ("always", (), 1), ("never", APIS, 0)])
def test_a_kind_of_others_is_there_where_the_cluster_has_it_or_it_is_asked_for(of_others, mode, apis, there):
    rendered = release("everything", values=OPTIONAL[of_others](mode), apis=apis)
    assert len(rendered.all(of_others)) == there
