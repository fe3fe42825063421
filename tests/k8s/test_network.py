"""Every connection that is needed passes the policies, and those that are not do not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from k8s_checks.network import End, may_connect
from k8s_checks.pods import of_kind, pods

Doc = dict[str, Any]
ELSEWHERE = {"app": "other"}
OPERATOR = End(
    {"app.kubernetes.io/component": "kuberay-operator"}, "kuberay", (("landmarks/access", "operator"),)
)
INGRESS = End({"app": "ingress"}, "ingress", (("landmarks/access", "client"),))
DNS = End({"k8s-app": "kube-dns"}, "kube-system")
INTERNET = End({}, outside=True)


def _ends(docs: list[Doc]) -> dict[str, End]:
    found = {pod.labels["landmarks/role"]: End(pod.labels) for pod in pods(docs) if not pod.ray}
    for pod in pods(docs):
        if pod.ray:
            found[pod.ray] = End(pod.labels)
    return found | {
        "operator": OPERATOR,
        "ingress": INGRESS,
        "dns": DNS,
        "internet": INTERNET,
        "unlabelled operator": End(OPERATOR.labels, "kuberay"),
        "another pod of the operator's namespace": End(
            ELSEWHERE, OPERATOR.namespace, OPERATOR.namespace_labels
        ),
        "another namespace": End({"landmarks/role": "mlflow"}, "other"),
        "stranger": End(ELSEWHERE),
    }


NEEDED = [
    *((source, "dns", 53) for source in ("head", "worker", "mlflow", "postgres", "objects")),
    ("head", "worker", 30000),
    ("worker", "head", 6379),
    ("worker", "worker", 29500),
    ("head", "mlflow", 5000),
    ("worker", "mlflow", 5000),
    ("mlflow", "postgres", 5432),
    ("mlflow", "objects", 8333),
    ("operator", "head", 8265),
    ("ingress", "head", 8265),
    ("ingress", "mlflow", 5000),
]
FORBIDDEN = [
    ("worker", "postgres", 5432),
    ("worker", "objects", 8333),
    ("head", "objects", 8333),
    ("worker", "internet", 443),
    ("mlflow", "internet", 443),
    ("stranger", "mlflow", 5000),
    ("stranger", "head", 8265),
    ("another namespace", "postgres", 5432),
    ("another namespace", "head", 8265),
    ("another namespace", "head", 6379),
    ("unlabelled operator", "head", 8265),
    ("another pod of the operator's namespace", "head", 8265),
    ("operator", "head", 6379),
    ("operator", "mlflow", 5000),
    ("ingress", "postgres", 5432),
    ("mlflow", "head", 8265),
    ("objects", "postgres", 5432),
    ("loader", "mlflow", 5000),
]


@pytest.mark.parametrize(("source", "target", "port"), NEEDED)
def test_needed(docs: list[Doc], source: str, target: str, port: int) -> None:
    ends = _ends(docs)
    assert may_connect(docs, ends[source], ends[target], port)


@pytest.mark.parametrize(("source", "target", "port"), FORBIDDEN)
def test_forbidden(overlay: str, docs: list[Doc], source: str, target: str, port: int) -> None:
    ends = _ends(docs)
    wanted = overlay == "gpu-s3" and (source, target, port) == ("worker", "internet", 443)
    assert may_connect(docs, ends[source], ends[target], port) is wanted


def test_ray_pods_alone_reach_a_store_with_their_keys(render: Any) -> None:
    docs = render("gpu-s3")
    keys = {"secretRef": {"name": "landmarks-store", "optional": True}}
    heads_and_workers = [pod for pod in pods(docs) if pod.ray]
    assert len(heads_and_workers) == 2 * 6  # five jobs and the interactive cluster
    for pod in heads_and_workers:
        assert may_connect(docs, End(pod.labels), INTERNET, 443), pod.where
        assert not may_connect(docs, End(pod.labels), INTERNET, 80), pod.where
        assert all(keys in container["envFrom"] for container in pod.spec["containers"]), pod.where
    for pod in pods(docs):
        if not pod.ray:
            assert not may_connect(docs, End(pod.labels), INTERNET, 443), pod.where
            assert all(keys not in c.get("envFrom", []) for c in pod.spec["containers"]), pod.where


def test_elastic_heads_alone_reach_the_api(render: Any) -> None:
    for overlay, expected in {"gpu": False, "gpu-elastic": True}.items():
        docs = render(overlay)
        ends = _ends(docs)
        head = next(
            End(p.labels) for p in pods(of_kind(docs, "RayJob")) if p.where == "RayJob/landmarks-train head"
        )
        assert may_connect(docs, head, INTERNET, 6443) is expected
        assert not may_connect(docs, head, INTERNET, 80)
        assert not may_connect(docs, ends["worker"], INTERNET, 6443)


def test_every_policy_concerns_a_pod(docs: list[Doc]) -> None:
    labels = [pod.labels for pod in pods(docs)]
    for policy in of_kind(docs, "NetworkPolicy"):
        wanted = policy["spec"]["podSelector"].get("matchLabels", {})
        assert any(wanted.items() <= own.items() for own in labels), policy["metadata"]["name"]


def test_without_the_default_everything_would_pass(docs: list[Doc]) -> None:
    ends = _ends(docs)
    open_docs = [
        d
        for d in copy.deepcopy(docs)
        if d["metadata"]["name"] not in {"landmarks-default-deny", "landmarks-dns"}
    ]
    assert may_connect(open_docs, ends["postgres"], INTERNET, 443)
    assert not may_connect(docs, ends["postgres"], INTERNET, 443)
