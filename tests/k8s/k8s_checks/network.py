"""Who may talk to whom, evaluated as a network plugin would: a connection needs the consent of both ends."""

from __future__ import annotations

from dataclasses import dataclass

from k8s_checks.pods import Doc, of_kind


@dataclass(frozen=True)
class End:
    """A pod, here or in another namespace; or an address outside."""

    labels: dict[str, str]
    namespace: str = "landmarks"
    namespace_labels: tuple[tuple[str, str], ...] = ()
    outside: bool = False


def _matches(selector: Doc | None, labels: dict[str, str]) -> bool:
    assert not (selector or {}).get("matchExpressions"), "not evaluated here"
    return (selector or {}).get("matchLabels", {}).items() <= labels.items()


def _peer_allows(peer: Doc, end: End) -> bool:
    if "ipBlock" in peer:
        return end.outside and peer["ipBlock"]["cidr"] == "0.0.0.0/0"
    if end.outside:
        return False
    if "namespaceSelector" in peer:
        own = {"kubernetes.io/metadata.name": end.namespace, **dict(end.namespace_labels)}
        if not _matches(peer["namespaceSelector"], own):
            return False
    elif end.namespace != "landmarks":
        return False
    return _matches(peer.get("podSelector"), end.labels)


def _one_side(docs: list[Doc], here: End, there: End, port: int, protocol: str, direction: str) -> bool:
    if here.namespace != "landmarks" or here.outside:
        return True
    field, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    concerned = [
        p["spec"]
        for p in of_kind(docs, "NetworkPolicy")
        if direction in p["spec"]["policyTypes"] and _matches(p["spec"]["podSelector"], here.labels)
    ]
    if not concerned:
        return True
    return any(
        ("ports" not in rule or {"protocol": protocol, "port": port} in rule["ports"])
        and (peers not in rule or any(_peer_allows(peer, there) for peer in rule[peers]))
        for spec in concerned
        for rule in spec.get(field, [])
    )


def may_connect(docs: list[Doc], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether the policies let a connection pass."""
    return _one_side(docs, source, target, port, protocol, "Egress") and _one_side(
        docs, target, source, port, protocol, "Ingress"
    )
