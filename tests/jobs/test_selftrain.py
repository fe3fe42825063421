"""``landmarks selftrain`` for real: killed in the middle of a round, resumed, and extended by another."""

from __future__ import annotations

import json

import pytest
import yaml
from traces import entries, trace

from pipeline.methods.model_file import load_description
from pipeline.shards.manifest import load_manifest
from pipeline.shards.read import iterate_shard
from pipeline.shards.selection import nested_subset

pytestmark = pytest.mark.cluster


def keys_of(folder: str) -> list[str]:
    return [raw.key for s in load_manifest(folder).shards for raw in iterate_shard(f"{folder}/{s.path}")]


def test_rounds_are_killed_and_resumed(tmp_path, toy_experiment, toy_sets, landmarks):
    toy_experiment["unlabelled"] = {"objective": None}
    toy_experiment["training"] |= {"steps": 6, "checkpoint_every": 0.2, "ema_decay": 0.9}
    toy_experiment["data"] |= {
        "labelled_count": 20,
        "unlabelled": {"remainder": True, "corpora": [str(toy_sets["unlabelled"])]},
    }
    toy_experiment["selftrain"] = {
        "rounds": 1,
        "pretrain_steps": 8,
        "finetune_steps": 4,
        "shrink": {"from_round": 1, "share": 0.25},
        "storage": str(tmp_path / "selftrain"),
    }
    path, folder = tmp_path / "few.yaml", tmp_path / "selftrain" / "toy"
    path.write_text(yaml.safe_dump(toy_experiment))
    runs, pseudo = folder / "runs", folder / "pseudo" / "r1"

    def pretraining() -> bool:
        return len(entries(runs / "toy-r1-pretrain")) >= 2

    landmarks.kill_when(pretraining, "selftrain", str(path))
    assert not (runs / "toy-r1-pretrain" / "finished.json").exists()
    before = {
        f: f.stat().st_mtime_ns for f in (runs / "toy-r0-train" / "finished.json", pseudo / "manifest.json")
    }

    output = landmarks.run("selftrain", str(path))
    assert {f: f.stat().st_mtime_ns for f in before} == before
    assert "1 of at most 1 rounds" in output
    # Every face that is not labelled has a pseudo-label, and no labelled one has.
    labelled = {keys_of(str(toy_sets["train"]))[i] for i in nested_subset(60, 20, 0)}
    everything = {*keys_of(str(toy_sets["train"])), *keys_of(str(toy_sets["unlabelled"]))}
    assert set(keys_of(str(pseudo))) == everything - labelled
    seen = {name: trace(runs / f"toy-{name}") for name in ("r0-train", "r1-pretrain", "r1-finetune")}
    assert {name: len(steps) for name, steps in seen.items()} == {
        "r0-train": 6,
        "r1-pretrain": 8,
        "r1-finetune": 4,
    }
    assert {key for step in seen["r0-train"] for key in step["keys"]} <= labelled
    assert not {key for step in seen["r1-pretrain"] for key in step["keys"]} & labelled
    # Fine-tuning: 6 labelled faces a step, and 2 with coarse pseudo-labels.
    assert all(
        [key in labelled for key in step["keys"]] == [True] * 6 + [False] * 2 for step in seen["r1-finetune"]
    )
    config = yaml.safe_load((runs / "toy-r1-finetune" / "config.yaml").read_text())
    assert len(config["init"]["sha256"]) == 64

    import mlflow

    ids = json.loads((folder / "mlflow.json").read_text())
    client = mlflow.MlflowClient(tracking_uri=ids["uri"])
    experiment = client.get_experiment_by_name("landmarks").experiment_id
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{ids['run_id']}'")
    assert {r.info.run_name: r.info.status for r in nested} == {f"toy-{name}": "FINISHED" for name in seen}
    errors = [
        m.value
        for m in sorted(client.get_metric_history(ids["run_id"], "held_out/nme"), key=lambda m: m.step)
    ]
    stored = [
        load_description(str(runs / f"toy-{name}/models/best")).validation["nme"]
        for name in ("r0-train", "r1-finetune")
    ]
    assert errors[-1] == pytest.approx(stored[1])
    page = (folder / "report.html").read_text()
    assert all(f"{value:.3f}" in page for value in stored)
