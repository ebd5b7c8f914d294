"""The evaluator of NetworkPolicies itself, on policies small enough to be judged by eye."""

from policies import Place, allows

WEB = Place("web", "10.244.0.1", "shop", {"app": "web"}, {"team": "shop"})
DATA = Place("data", "10.244.0.2", "shop", {"app": "data"}, {"team": "shop"}, {"sql": (5432, "TCP")})
GUEST = Place("guest", "10.244.0.3", "other", {"app": "web"}, {"team": "other"})
OUTSIDE = Place("outside", "203.0.113.5")


def policy(name, selects, namespace="shop", **spec):
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": selects, **spec}}


DENY = policy("deny", {}, policyTypes=["Ingress", "Egress"])


def into_data(**rule):
    return policy("data", {"matchLabels": {"app": "data"}}, policyTypes=["Ingress"], ingress=[rule])


def out_of_web(**rule):
    return policy("web", {"matchLabels": {"app": "web"}}, policyTypes=["Egress"], egress=[rule])


WEB_PODS = {"podSelector": {"matchLabels": {"app": "web"}}}
SQL = {"port": "sql"}


def test_without_policies_everything_passes():
    assert allows([], WEB, DATA, 5432) and allows([], OUTSIDE, DATA, 22)


def test_a_default_deny_stops_both_directions_in_its_namespace_only():
    assert not allows([DENY], WEB, DATA, 5432)
    assert not allows([DENY], WEB, OUTSIDE, 443)
    assert not allows([DENY], GUEST, DATA, 5432)
    assert allows([DENY], GUEST, OUTSIDE, 443)


def test_ingress_alone_is_not_enough_where_egress_is_denied():
    assert not allows([DENY, into_data(**{"from": [WEB_PODS]})], WEB, DATA, 5432)
    assert not allows([DENY, out_of_web()], WEB, DATA, 5432)
    assert allows([DENY, into_data(**{"from": [WEB_PODS]}), out_of_web()], WEB, DATA, 5432)


def test_policies_add_up():
    other = policy("more", {}, policyTypes=["Ingress"], ingress=[{"ports": [{"port": 80}]}])
    assert allows([into_data(ports=[SQL]), other], WEB, DATA, 80)
    assert allows([into_data(ports=[SQL]), other], WEB, DATA, 5432)
    assert not allows([into_data(ports=[SQL]), other], WEB, DATA, 443)


def test_a_pod_selector_alone_means_the_policys_own_namespace():
    assert allows([into_data(**{"from": [WEB_PODS]})], WEB, DATA, 5432)
    assert not allows([into_data(**{"from": [WEB_PODS]})], GUEST, DATA, 5432)


def test_selectors_of_one_entry_narrow_and_two_entries_widen():
    of_team = {"namespaceSelector": {"matchLabels": {"team": "other"}}}
    both = {**of_team, "podSelector": {"matchLabels": {"app": "data"}}}
    assert not allows([into_data(**{"from": [both]})], GUEST, DATA, 5432)
    assert not allows([into_data(**{"from": [of_team]})], WEB, DATA, 5432)
    assert allows([into_data(**{"from": [of_team, WEB_PODS]})], GUEST, DATA, 5432)
    assert allows([into_data(**{"from": [of_team, WEB_PODS]})], WEB, DATA, 5432)


def test_a_selector_of_namespaces_takes_nobody_from_outside():
    assert not allows([into_data(**{"from": [{"namespaceSelector": {}}]})], OUTSIDE, DATA, 5432)
    assert allows([into_data(**{"from": [{"namespaceSelector": {}}]})], GUEST, DATA, 5432)


def test_a_named_port_is_the_called_pods_own():
    assert allows([into_data(ports=[SQL])], WEB, DATA, 5432)
    assert not allows([into_data(ports=[SQL])], WEB, DATA, 5433)
    assert not allows([into_data(ports=[SQL])], WEB, DATA, 5432, "UDP")
    assert not allows([out_of_web(ports=[SQL])], WEB, OUTSIDE, 5432)


def test_a_range_of_ports_ends_where_it_says():
    some = [{"port": 8000, "endPort": 8010, "protocol": "UDP"}]
    assert allows([out_of_web(ports=some)], WEB, OUTSIDE, 8010, "UDP")
    assert not allows([out_of_web(ports=some)], WEB, OUTSIDE, 8011, "UDP")
    assert not allows([out_of_web(ports=some)], WEB, OUTSIDE, 8000, "TCP")


def test_a_block_of_addresses_has_holes_and_takes_pods_too():
    everywhere = {"ipBlock": {"cidr": "0.0.0.0/0"}}
    public = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}
    assert allows([out_of_web(to=[everywhere])], WEB, DATA, 5432)
    assert not allows([out_of_web(to=[public])], WEB, DATA, 5432)
    assert allows([out_of_web(to=[public])], WEB, OUTSIDE, 25)
    assert not allows([out_of_web(to=[{"ipBlock": {"cidr": "::/0"}}])], WEB, OUTSIDE, 25)


def test_a_policy_without_types_isolates_for_egress_only_where_it_has_egress():
    assert allows([policy("p", {}, ingress=[{}])], WEB, OUTSIDE, 443)
    assert not allows([policy("p", {}, ingress=[{}], egress=[{"ports": [{"port": 80}]}])], WEB, OUTSIDE, 443)


def test_expressions_select_as_the_api_says():
    def selects(operator, values=None, key="app"):
        expression = {"key": key, "operator": operator, "values": values}
        chosen = policy("p", {"matchExpressions": [expression]}, policyTypes=["Ingress"])
        return not allows([chosen], WEB, DATA, 1)

    assert selects("In", ["data"]) and not selects("In", ["web"])
    assert selects("NotIn", ["web"]) and not selects("NotIn", ["data"])
    assert selects("Exists") and not selects("Exists", key="tier")
    assert selects("DoesNotExist", key="tier") and not selects("DoesNotExist")
