"""Finding pods in manifests of any kind, and reading quantities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Doc = dict[str, Any]

_UNITS = {"": 1.0, "m": 1e-3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", start=1)
}


def quantity(text: Any) -> float:
    """The number behind a Kubernetes quantity, e.g. 500m or 2Gi."""
    digits = str(text).rstrip("mKMGTi")
    return float(digits) * _UNITS[str(text)[len(digits) :]]


@dataclass(frozen=True)
class Pod:
    """A pod or the template of one."""

    where: str
    labels: dict[str, str]
    spec: Doc
    ray: str = ""
    """'head', 'worker', or nothing."""
    containers: tuple[Doc, ...] = ()
    """Init containers included, and what KubeRay adds by the manifest's options."""


def name(doc: Doc) -> str:
    return f"{doc['kind']}/{doc['metadata']['name']}"


def ray_spec(doc: Doc) -> Doc | None:
    """The RayClusterSpec of a RayCluster or RayJob."""
    if doc["kind"] == "RayCluster":
        return doc["spec"]
    return doc["spec"]["rayClusterSpec"] if doc["kind"] == "RayJob" else None


def _pod(where: str, metadata: Doc, spec: Doc, ray: str = "", extra: tuple[Doc, ...] = ()) -> Pod:
    labels = dict(metadata.get("labels", {}))
    if ray:
        labels |= {"ray.io/node-type": ray, "ray.io/is-ray-node": "yes"}  # as KubeRay does
    containers = (*spec.get("initContainers", []), *spec["containers"], *extra)
    return Pod(where, labels, spec, ray, containers)


def pods(docs: list[Doc]) -> Iterator[Pod]:
    """Every pod that the manifests make."""
    for doc in docs:
        where = name(doc)
        if doc["kind"] == "Pod":
            yield _pod(where, doc["metadata"], doc["spec"])
        elif doc["kind"] in {"Deployment", "StatefulSet"}:
            template = doc["spec"]["template"]
            yield _pod(where, template["metadata"], template["spec"])
        spec = ray_spec(doc)
        if spec is None:
            continue
        head = spec["headGroupSpec"]["template"]
        autoscaler = ()
        if spec.get("enableInTreeAutoscaling"):
            image = head["spec"]["containers"][0]["image"]
            autoscaler = ({"name": "autoscaler", "image": image, **spec.get("autoscalerOptions", {})},)
        yield _pod(f"{where} head", head["metadata"], head["spec"], "head", autoscaler)
        for group in spec["workerGroupSpecs"]:
            template = group["template"]
            yield _pod(
                f"{where} {group['groupName']}",
                template["metadata"],
                template["spec"],
                "worker",
            )


def of_kind(docs: list[Doc], *kinds: str) -> list[Doc]:
    return [doc for doc in docs if doc["kind"] in kinds]


def strings(value: Any) -> Iterator[str]:
    """Every string in a manifest."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
