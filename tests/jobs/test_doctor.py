"""``landmarks doctor``: on this machine, and on a real cluster's node."""

from __future__ import annotations

import json

import pytest
import yaml


@pytest.fixture
def path(toy_experiment, tmp_path):
    file = tmp_path / "toy.yaml"
    file.write_text(yaml.safe_dump(toy_experiment))
    return file


def test_exit_code_and_words(path, in_process, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    said = in_process("doctor", str(path))
    assert "this machine" in said
    assert "0 failures" in said
    said = in_process("doctor", str(path), "data.train=/nowhere", code=1)
    assert "1 failure," in said
    assert "prepare it, or name the folder" in " ".join(said.split())
    found = json.loads(in_process("doctor", str(path), "data.train=/nowhere", "--json", code=1))
    assert not found["ok"]
    (failure,) = [f for f in found["findings"] if f["level"] == "failure"]
    assert (failure["place"], failure["about"]) == ("this machine", "data.train")
    assert "prepare it" in failure["remedy"]
    # Without a config machines alone are looked at.
    assert "MLflow" not in in_process("doctor")


@pytest.mark.cluster
def test_each_node_is_examined_where_it_is(path, landmarks):
    said = " ".join(landmarks.run("doctor", str(path)).split())
    assert "1 node, room for 1 worker" in said
    assert "(2 CPU)" in said
    assert "what was written is read" in said
    assert "way to here" in said
    # Its own config asks for more than the cluster holds.
    said = " ".join(landmarks.run("doctor", str(path), "cluster.cpus_per_worker=9", code=1).split())
    assert "a run needs 1 worker of 9 CPU each" in said
