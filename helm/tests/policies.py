"""What NetworkPolicies let through, computed as the API's reference says: given rendered policies, who reaches whom?"""

import ipaddress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """Something with an address: a pod, with labels and named ports, or a machine outside (without a namespace)."""

    name: str
    address: str
    namespace: str = ""
    labels: dict = field(default_factory=dict, hash=False)
    namespace_labels: dict = field(default_factory=dict, hash=False)
    ports: dict = field(default_factory=dict, hash=False)  # name → (number, protocol)


def allows(policies, source, target, port, protocol="TCP"):
    """Whether a connection comes about: the source's egress and the target's ingress must both let it through."""
    return (port, protocol) in open_ports(policies, source, target, [port])


def open_ports(policies, source, target, ports):
    """Which of these ports, by which protocol, the source reaches at the target."""
    way_out = _clauses(policies, "Egress", source, target)
    way_in = _clauses(policies, "Ingress", target, source)
    return {
        (port, protocol)
        for port in ports
        for protocol in ("TCP", "UDP")
        if all(any(_ports(clause, target, port, protocol) for clause in way) for way in (way_out, way_in))
    }


def _clauses(policies, direction, subject, peer):
    """What the rules for this pair say of ports."""
    selecting = [policy for policy in policies if _selects(policy, direction, subject)]
    if not selecting:
        return [None]  # whoever is selected by none is not isolated
    clause, side = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return [
        rule.get("ports")
        for policy in selecting
        for rule in policy["spec"].get(clause) or []
        if _peers(rule.get(side), peer, policy["metadata"].get("namespace"))
    ]


def _selects(policy, direction, subject):
    spec = policy["spec"]
    # What the API server fills in where a policy does not say.
    types = spec.get("policyTypes") or ["Ingress"] + (["Egress"] if spec.get("egress") else [])
    return (
        direction in types
        and policy["metadata"].get("namespace") == subject.namespace
        and matches(spec.get("podSelector") or {}, subject.labels)
    )


def _peers(peers, place, own_namespace):
    return not peers or any(_peer(peer, place, own_namespace) for peer in peers)


def _peer(peer, place, own_namespace):
    if "ipBlock" in peer:
        # Also pods have addresses: 0.0.0.0/0 without exceptions opens the way to each of them.
        block, address = peer["ipBlock"], ipaddress.ip_address(place.address)
        return _within(address, block["cidr"]) and not any(
            _within(address, hole) for hole in block.get("except") or []
        )
    if not place.namespace:
        return False
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"] or {}, place.namespace_labels):
            return False
    elif place.namespace != own_namespace:
        return False
    return matches(peer.get("podSelector") or {}, place.labels)


def _within(address, cidr):
    return address in ipaddress.ip_network(cidr)


def _ports(ports, target, port, protocol):
    return not ports or any(_port(entry, target, port, protocol) for entry in ports)


def _port(entry, target, port, protocol):
    if entry.get("protocol", "TCP") != protocol:
        return False
    wanted = entry.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):  # the name is looked up in the pod that is called
        return target.ports.get(wanted) == (port, protocol)
    return wanted <= port <= entry.get("endPort", wanted)


def matches(selector, labels):
    """Whether a label selector takes what has these labels; an empty one takes everything."""
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and all(
        _expression(expression, labels) for expression in selector.get("matchExpressions") or []
    )


def _expression(expression, labels):
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[operator]
