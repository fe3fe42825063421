"""The description of a cluster: strict, with the repository's example as its defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from jobs.submission.kubernetes.description import ClusterDescription, load_description
from pipeline.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[4] / "k8s" / "cluster.yaml"


def test_example_shows_every_key_with_its_default():
    raw = yaml.safe_load(EXAMPLE.read_text())
    assert ClusterDescription.model_validate(raw) == ClusterDescription()
    assert raw.keys() == ClusterDescription.model_fields.keys()
    for key, section in raw.items():
        if isinstance(section, dict):
            assert section.keys() == type(getattr(ClusterDescription(), key)).model_fields.keys()


def test_commented_values_of_the_example_are_valid_too():
    text = EXAMPLE.read_text()
    offered = re.findall(r"^( *)(\w+): null # (\{[^:]*: (?:\{.*?\}|.*?)\}|eth0)", text, re.MULTILINE)
    assert [key for _, key, _ in offered] == ["socket_interface", "rdma", "pod_monitor"]
    raw = yaml.safe_load(text)
    for indent, key, value in offered:
        (raw["nccl"] if indent else raw)[key] = yaml.safe_load(value)
    found = ClusterDescription.model_validate(raw)
    assert found.nccl.rdma is not None
    assert found.pod_monitor is not None


def test_folders_start_at_the_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = load_description(str(EXAMPLE))
    assert found.manifests == EXAMPLE.parent / "base"
    assert found.components == EXAMPLE.parent / "components"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("namespaces: a", "namespace"),
        ("namespace: My_Team", "namespace"),
        ("images: {cpu: 'landmarks'}", "images.cpu"),
        ("images: {cpu: 'registry:5000/landmarks'}", "images.cpu"),
        ("gpu: {gpus_per_pod: [4]}", "gpus_per_pod"),
        ("gpu: {gpus_per_pod: []}", "gpus_per_pod"),
        ("gpu: {memory_gib: 12, shared_memory_gib: 8}", "more than half"),
        ("cpu: {memory_gib: .inf}", "cpu.memory_gib"),
        ("nccl: {socket_interface: 'eth0; rm'}", "socket_interface"),
        ("nccl: {rdma: {resource: hca}}", "rdma.resource"),
        ("pod_monitor: {labels: {release: 'a b'}}", "pod_monitor.labels"),
        ("manifests: nowhere", "manifests = nowhere"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path, text, expected):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load_description(str(file))


def test_a_missing_file_says_where_one_is(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file; .*k8s/cluster\.yaml"):
        load_description(str(tmp_path / "cluster.yaml"))
