"""The rendered overlays: schemas, security, resources, references."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from k8s_checks import rules
from k8s_checks.pods import of_kind, pods, quantity, ray_spec
from k8s_checks.schemas import schema_problems

ROOT = Path(__file__).resolve().parents[2]
Doc = dict[str, Any]
VERBS = {"prepare", "train", "tune", "scale", "evaluate"}


def _ray_version() -> str:
    found = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1]


def test_schemas_accept_every_object(docs: list[Doc], schemas: dict[tuple[str, str], Doc]) -> None:
    assert schema_problems(docs, schemas) == []


@pytest.mark.parametrize("rule", rules.PLAIN, ids=lambda rule: rule.__name__)
def test_rule_has_no_findings(docs: list[Doc], rule: rules.Rule) -> None:
    assert list(rule(docs)) == []


def test_ray_clusters_fit_the_pinned_version_and_their_sizes(docs: list[Doc]) -> None:
    assert list(rules.ray_clusters(docs, _ray_version())) == []


def test_overlay_holds_every_part(docs: list[Doc]) -> None:
    assert {d["metadata"]["name"] for d in of_kind(docs, "RayJob")} == {f"landmarks-{v}" for v in VERBS}
    assert len(of_kind(docs, "RayCluster")) == 1
    assert {d["metadata"]["name"] for d in of_kind(docs, "StatefulSet")} == {
        "landmarks-postgres",
        "landmarks-objects",
    }
    for job in of_kind(docs, "RayJob"):
        assert job["metadata"]["labels"]["landmarks/start"] == job["metadata"]["name"].removeprefix(
            "landmarks-"
        )


def test_images_of_an_overlay_are_moved_to_a_registry_by_one_line(docs: list[Doc]) -> None:
    # kustomize's images transformer must know RayJobs: it walks fields called containers, wherever they are.
    ours = {
        c["image"].split(":")[0] for pod in pods(docs) for c in pod.containers if "landmarks" in c["image"]
    }
    assert ours == {"landmarks"}


def test_only_elastic_heads_have_a_token_of_the_api(render: Any) -> None:
    for overlay, expected in {"gpu": 0, "gpu-elastic": 2}.items():
        holding = [p.where for p in pods(render(overlay)) if p.spec.get("automountServiceAccountToken")]
        assert len(holding) == expected
        assert all(where.endswith(" head") for where in holding)


def test_pictures_are_writable_for_the_loader_alone(docs: list[Doc]) -> None:
    for pod in pods(docs):
        for volume in pod.spec.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {})
            if claim.get("claimName") == "landmarks-raw":
                assert claim.get("readOnly", False) == (pod.where != "Pod/landmarks-loader"), pod.where


def test_shared_storage_fits_the_number_of_nodes(render: Any) -> None:
    for overlay, mode in {"local-cpu": "ReadWriteOnce", "gpu": "ReadWriteMany"}.items():
        claims = of_kind(render(overlay), "PersistentVolumeClaim")
        assert [c["spec"]["accessModes"] for c in claims] == [[mode], [mode]]


def test_preparation_needs_no_gpu_and_the_rest_does(render: Any) -> None:
    for overlay in ("gpu", "gpu-elastic", "kueue"):
        for doc in of_kind(render(overlay), "RayJob"):
            workers = [p for p in pods([doc]) if p.ray == "worker"]
            gpus = [p.spec["containers"][0]["resources"]["limits"].get("nvidia.com/gpu") for p in workers]
            assert gpus == [None if doc["metadata"]["name"] == "landmarks-prepare" else "1"]


def test_quota_admits_every_job_and_names_every_resource(render: Any) -> None:
    docs = render("kueue")
    (queue,) = of_kind(docs, "ClusterQueue")
    (group,) = queue["spec"]["resourceGroups"]
    quota = {r["name"]: quantity(r["nominalQuota"]) for r in group["flavors"][0]["resources"]}
    assert set(quota) == set(group["coveredResources"])
    assert group["flavors"][0]["name"] in {d["metadata"]["name"] for d in of_kind(docs, "ResourceFlavor")}
    classes = {d["metadata"]["name"] for d in of_kind(docs, "WorkloadPriorityClass")}
    for doc in of_kind(docs, "RayJob", "RayCluster"):
        spec = ray_spec(doc)
        assert spec is not None
        counts = [1, *(g["replicas"] for g in spec["workerGroupSpecs"])]
        asked: dict[str, float] = {}
        for pod, count in zip(pods([doc]), counts, strict=True):
            for name, amount in pod.spec["containers"][0]["resources"]["requests"].items():
                asked[name] = asked.get(name, 0) + count * quantity(amount)
        assert asked.keys() <= quota.keys()
        assert all(amount <= quota[name] for name, amount in asked.items()), doc["metadata"]["name"]
        assert doc["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "landmarks"
        assert doc["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] in classes
        assert not spec.get("enableInTreeAutoscaling")  # admitted as a whole, at one size


def test_cluster_wide_objects_have_no_namespace(render: Any) -> None:
    cluster_wide = {"Namespace", "ResourceFlavor", "ClusterQueue", "WorkloadPriorityClass"}
    for doc in render("kueue"):
        assert ("namespace" in doc["metadata"]) == (doc["kind"] not in cluster_wide), doc["metadata"]["name"]
