"""``landmarks train`` with its runs in an object store, killed and given again; what it leaves is a run for every command."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest
import yaml
from traces import entries, trace

from pipeline.storage import exists, names_in, read_text
from pipeline.training.integrity import is_checkpoint

STEPS = 30


@pytest.mark.slow
@pytest.mark.cluster
def test_a_run_in_a_store_that_is_killed_is_the_undisturbed_one(
    s3, toy_experiment, tmp_path, train_plainly, lone_landmarks, in_process
):
    toy_experiment["model"]["dropout"] = 0.2
    toy_experiment["augmentation"] = {"name": "adnet"}
    toy_experiment["training"] |= {"steps": STEPS, "ema_decay": 0.9, "checkpoint_every": 0.8}
    assert train_plainly(toy_experiment)[0]["error"] is None
    whole, run = trace(f"{tmp_path}/runs/toy"), "s3://faces/runs/toy"
    config = tmp_path / "toy.yaml"
    config.write_text(yaml.safe_dump(toy_experiment | {"cluster": {"storage": "s3://faces/runs"}}))
    keys = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    landmarks = dataclasses.replace(lone_landmarks, environment=lone_landmarks.environment | keys)

    def second_checkpoint_is_known() -> bool:
        return "step-000000012" in (read_text(f"{run}/checkpoint_manager_snapshot.json") or "")

    # Its Ray, its workers and itself, with kill -9.
    landmarks.kill_when(second_checkpoint_is_known, "train", str(config))
    assert not exists(f"{run}/finished.json")
    assert not exists(f"{run}/step-000000030")
    landmarks.run("train", str(config))
    resumed = trace(run)
    assert [entry["step"] for entry in resumed] == list(range(STEPS))
    assert resumed == whole
    # It did resume: what an earlier process sent is there, and a fresh start would have sent it again.
    assert len(entries(run)) < STEPS + 12
    names = names_in(run)
    assert list(filter(is_checkpoint, names)) == ["step-000000024", "step-000000030"]
    assert {"config.yaml", "claim.json", "mlflow.json", "models", "finished.json"} <= set(names)
    assert "owner.json" not in names

    assert in_process("checkpoint", "inspect", run).count("whole") == 2
    assert "finished already" in in_process("train", str(config))
    assert "choose another name" in in_process("train", str(config), "optimizer.lr=0.5", code=2)
    test = toy_experiment["data"]["test"]
    in_process(
        "evaluate", run, f"{tmp_path}/runs/toy/models/best", "--data", test, "--out", f"{run}/evaluation"
    )
    here, there = (
        json.loads(read_text(f"{run}/evaluation/{name}") or "")["errors"]
        for name in names_in(f"{run}/evaluation")
        if name.endswith(".json")
    )
    assert here == there
    in_process("predict", run, test, "--out", f"{tmp_path}/faces.csv")
    assert (tmp_path / "faces.csv").read_text().count("\n") > 20
    in_process("calibrate", run)
    assert "calibration.json" in names_in(f"{run}/models/best")
    in_process("export", run, "--to", "torch", "--out", f"{tmp_path}/toy.pt2")
    again = in_process("train", str(config), "name=again", f"init.model={run}", "--dry-run")
    assert "s3://faces/runs/again" in again
