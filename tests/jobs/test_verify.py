"""The command's output and exit code."""

from __future__ import annotations

import json
import re
import shutil
import sys

import numpy as np
import pytest
import yaml

from jobs.verify import verify
from pipeline.shards.manifest import dump_manifest, load_manifest, manifest_url
from pipeline.storage import write_text
from pipeline.training.config.experiment import TrackingConfig


def test_sound_set(toy_sets, capsys):
    assert verify([str(toy_sets["train"])], streams=4) == 0
    captured = capsys.readouterr()
    assert "labelled, train, 60 samples, 4 shards" in captured.out
    assert "ok (0 warnings)" in captured.out
    assert "verify: 4/4 shards" in captured.err


def test_findings_for_programs(toy_sets, tmp_path, capsys):
    folder = shutil.copytree(toy_sets["train"], tmp_path / "train")
    (folder / "shard-000000.tar").unlink()
    assert verify([str(folder)], as_json=True) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    assert [(s["name"], s["samples"], s["shards"]) for s in found["sets"]] == [("toy", 60, 4)]
    (error,) = [f for f in found["findings"] if f["severity"] == "error"]
    assert "shard-000000.tar" in error["file"]
    assert set(error) == {"severity", "file", "message", "remedy"}


def test_spoilt_set(toy_sets, tmp_path, capsys):
    folder = shutil.copytree(toy_sets["train"], tmp_path / "train")
    (folder / "shard-000000.tar").unlink()
    assert verify([str(folder), str(tmp_path / "nowhere")]) == 1
    out = capsys.readouterr().out
    assert "shard-000000.tar: no such shard, though the manifest lists it; copy it again" in out
    assert "nowhere/manifest.json: no such manifest" in out
    assert "2 errors" in out


def test_a_store_that_cannot_be_used(toy_sets, tmp_path, capsys):
    tracking = {"toy.yaml": TrackingConfig(uri=str(tmp_path / "mlruns"))}
    assert verify([str(toy_sets["validation"])], tracking=tracking) == 1
    out = capsys.readouterr().out
    assert f"error: toy.yaml: tracking.uri = {tmp_path}/mlruns: MLflow 3 takes sqlite:///FILE" in out
    assert "1 error\n" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("uri", "code"), [("sqlite:///{}/db/mlflow.db", 0), ("http://127.0.0.1:9", 1)])
def test_of_a_config_the_store_is_checked_too(toy_experiment, tmp_path, capsys, monkeypatch, uri, code):
    from jobs import cli

    toy_experiment["tracking"]["uri"] = uri.format(tmp_path)
    # Toy faces of different sets are too much alike for the check of leakage: one sound set is enough here.
    toy_experiment["data"] = {"train": toy_experiment["data"]["train"], "streams": 4}
    toy_experiment["unlabelled"] = {"objective": None}
    toy_experiment["training"]["select"] = "last"
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(toy_experiment))
    monkeypatch.setattr(sys, "argv", ["landmarks", "verify", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out = capsys.readouterr().out
    assert ended.value.code == code
    assert (f"{path}: tracking.uri = http://127.0.0.1:9: no MLflow server answers there" in out) == bool(code)
    # Looking at a store makes none.
    assert list(tmp_path.iterdir()) == [path]


def test_poses_of_a_training_set_are_shown_before_and_after_balancing(toy_sets, tmp_path, capsys):
    folder = shutil.copytree(toy_sets["train"], tmp_path / "train")
    manifest = load_manifest(str(folder))
    pose = (None, *np.linspace(-2.0, 2.5, manifest.samples - 1).round(4).tolist())
    write_text(manifest_url(str(folder)), dump_manifest(manifest.model_copy(update={"pose": pose})))
    assert verify([str(folder)], near_duplicates=False) == 0
    out = capsys.readouterr().out
    assert "  pose from    -2.0 -1.5 -1.0" in out
    assert re.search(r"^  faces( +[678]){9}  = 60$", out, re.MULTILINE)
    assert re.search(r"^  undersample( +6){9}  = 54$", out, re.MULTILINE)
    assert "  1 face of unknown pose" in out
