"""kubectl itself: folders built, and what it refuses told with the remedy. No cluster is there, so none is reached."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from jobs.submission.kubernetes.kubectl import Cluster, build, kubectl, to_yaml
from pipeline.errors import ClusterError

BASE = Path(__file__).resolve().parents[4] / "k8s" / "base"


@pytest.fixture
def real():
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on the PATH")


def test_without_kubectl_it_says_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"not on the PATH: install version 1\.28"):
        kubectl("version")


def test_an_unreachable_cluster_is_told_with_what_to_look_at(real, monkeypatch, tmp_path):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": ""}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(
        ClusterError, match=r"(?s)127\.0\.0\.1:9.*current-context.*can-i create rayjobs"
    ) as caught:
        Cluster("landmarks", "here").find("rayjobs.ray.io", "train-a")
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(ClusterError, match="context.*nowhere|nowhere.*context"):
        Cluster("landmarks", "nowhere").apply([])


def test_folders_that_do_not_fit_are_named(real, tmp_path):
    (tmp_path / "kustomization.yaml").write_text("resources: [absent.yaml]\n")
    with pytest.raises(ClusterError, match=rf"absent\.yaml(?s:.*)built of {tmp_path}"):
        build(tmp_path, [], "landmarks")


def test_namespace_is_that_of_all_objects(real):
    docs = build(BASE, [], "faces")
    assert {d["metadata"].get("namespace") for d in docs if d["kind"] != "Namespace"} == {"faces"}
    assert list(yaml.safe_load_all(to_yaml(docs))) == docs


def test_typed_commands_are_what_a_user_would_type():
    assert (
        Cluster("a", "my cluster").typed("get", "x") == "kubectl --namespace a --context 'my cluster' get x"
    )
    assert Cluster("a").typed("get", "x") == "kubectl --namespace a get x"
