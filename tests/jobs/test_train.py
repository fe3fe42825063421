"""``landmarks train`` for real: Ray Train, DeepSpeed, MLflow on SQLite. Resume is exact; bad input is explained."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from traces import entries, trace

from pipeline.shards.manifest import load_manifest


@pytest.fixture
def config(tmp_path, toy_sets):
    """A small semi-supervised experiment on toy faces; returns a function that writes it."""

    def write(name: str, **changes) -> Path:
        raw = {
            "name": name,
            "data": {**{k: str(toy_sets[k]) for k in ("train", "validation", "unlabelled")}, "streams": 4},
            "input_size": 48,
            "model": {"name": "rcn", "width": 4, "dropout": 0.2},
            "unlabelled": {
                "objective": {"name": "adversarial", "discriminator": {"name": "patchgan", "width": 4}}
            },
            "training": {
                "epochs": None,
                "steps": 24,
                "batch": 8,
                "trace": True,
                "ema_decay": 0.9,
                "log_every": 4,
                "validate_every": 1.0,
                "checkpoint_every": 0.8,
                "image_every": 2.0,
            },
            "cluster": {"storage": str(tmp_path / "runs")},
            "tracking": {"uri": f"sqlite:///{tmp_path}/mlflow.db", "artifacts": str(tmp_path / "artifacts")},
        }
        for key, value in changes.items():
            section, _, field = key.partition("__")
            raw[section] = {**raw.get(section, {}), field: value} if field else value
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(raw))
        return path

    return write


def steps_written(run_folder: Path) -> int:
    return len(entries(run_folder))


def training_worker(process: subprocess.Popen) -> psutil.Process:
    """The Ray worker process that runs the training function of a driver."""
    for child in psutil.Process(process.pid).children(recursive=True):
        if "RayTrainWorker" in " ".join(child.cmdline()):
            return child
    raise AssertionError("no training worker found")


def plainly(path: Path) -> dict:
    """A written config, for the loop without Ray."""
    return yaml.safe_load(path.read_text())


@pytest.mark.cluster
def test_killed_worker_resumes_to_the_bit(
    tmp_path, config, landmarks, lone_landmarks, train_plainly, in_process
):
    # Augmentation, too, is a function of the step; and nothing is of who runs it: never killed, the loop runs without Ray.
    assert train_plainly(plainly(config("whole", augmentation={"name": "adnet"})))[0]["error"] is None
    whole = trace(tmp_path / "runs" / "whole")
    assert [entry["step"] for entry in whole] == list(range(24))
    # 24 steps of 8 in a set of 60: the run crosses epochs, and is killed in the middle of one.
    killed = config("killed", augmentation={"name": "adnet"})
    process = lone_landmarks.start("train", str(killed))
    folder = tmp_path / "runs" / "killed"
    deadline = time.monotonic() + 300
    while steps_written(folder) < 15:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(training_worker(process).pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "run the same command again to resume" in output.lower()
    seen = steps_written(folder)
    assert seen < 24
    landmarks.run("train", str(killed))
    resumed = trace(folder)
    assert [entry["keys"] for entry in resumed] == [entry["keys"] for entry in whole]
    assert [entry["metrics"] for entry in resumed] == [entry["metrics"] for entry in whole]
    # It did resume: fewer steps were repeated than a fresh start would have.
    assert steps_written(folder) < seen + 24
    ids = json.loads((folder / "mlflow.json").read_text())
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=ids["uri"])
    runs = client.search_runs(
        [client.get_experiment_by_name("landmarks").experiment_id], "attributes.run_name = 'killed'"
    )
    assert [r.info.run_id for r in runs] == [ids["run_id"]]
    assert runs[0].info.status == "FINISHED"
    assert {m.step for m in client.get_metric_history(ids["run_id"], "train/loss")} >= {4, 24}
    images = client.list_artifacts(ids["run_id"], "images")
    assert any(p.path.endswith("overlays.png") for p in images)
    # Finished, it is left alone, and keeps its config.
    before = (folder / "finished.json").stat().st_mtime_ns
    assert "finished already" in in_process("train", str(killed))
    assert (folder / "finished.json").stat().st_mtime_ns == before
    refused = in_process("train", str(killed), "optimizer.lr=0.5", code=2)
    assert "optimizer.lr: 0.001 → 0.5" in refused
    assert "choose another name" in refused


@pytest.mark.cluster
def test_two_workers_see_the_same_global_batches(tmp_path, config, landmarks, in_process, train_plainly):
    # Turned little enough to lose no landmark: the ranks' losses are means over as many each.
    changes = {
        "training__steps": 8,
        "model": {"name": "rcn", "width": 4, "dropout": 0.0},
        "augmentation": {"name": "custom", "rotation": 5.0, "flip": 0.5, "grey": 0.5},
    }
    assert train_plainly(plainly(config("one", **changes)))[0]["error"] is None
    two = config("two", cluster__zero_stage=1, **changes)
    landmarks.run("train", str(two), "cluster.workers=2")
    one = trace(tmp_path / "runs" / "one")
    ranks = [trace(tmp_path / "runs" / "two", rank) for rank in (0, 1)]
    assert len(ranks[0]) == len(ranks[1]) == len(one) == 8
    for whole, first, second in zip(one, *ranks, strict=True):
        # Eight labelled, eight unlabelled; ranks hold every other one.
        merged = [key for pair in zip(first["keys"], second["keys"], strict=True) for key in pair]
        assert merged == whole["keys"]
    # The first supervised loss is the mean of the ranks': same weights, same images, changed alike.
    values = [float.fromhex(t[0]["metrics"]["supervised"]) for t in (one, *ranks)]
    assert values[0] == pytest.approx((values[1] + values[2]) / 2, rel=1e-5)
    # Both ranks' files are in the list of the checkpoint.
    assert "whole" in in_process("checkpoint", "inspect", str(tmp_path / "runs" / "two"))
    (last, *_) = sorted((tmp_path / "runs" / "two").glob("step-*"), reverse=True)
    listed = json.loads((last / "checkpoint.json").read_text())
    assert listed["world_size"] == 2
    assert sum("optim_states" in name for name in listed["files"]) == 2 * 2


@pytest.mark.slow
@pytest.mark.cluster
def test_a_finished_run_goes_on_past_a_damaged_checkpoint(tmp_path, config, landmarks, in_process):
    # Two checkpoints are kept, of steps 4 and 6; a longer run would go on from the latter.
    changes = {"training__steps": 6, "training__checkpoint_every": 0.27, "unlabelled": {"objective": None}}
    path = config("longer", **changes)
    landmarks.run("train", str(path))
    folder = tmp_path / "runs" / "longer"
    assert "step-000000006" in in_process("checkpoint", "inspect", str(folder))
    weights = folder / "step-000000006" / "generator" / "engine" / "mp_rank_00_model_states.pt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))
    damaged = in_process("checkpoint", "inspect", str(folder), code=1)
    assert "step-000000006: generator/engine/mp_rank_00_model_states.pt is not as it was written" in damaged
    output = " ".join(landmarks.run("train", str(path), "training.steps=10").split())
    assert "run 'longer' goes on, from 6 to 10 steps" in output
    assert "checkpoint step-000000006 is damaged" in output
    assert "goes on from step-000000004" in output
    assert json.loads((folder / "finished.json").read_text())["step"] == 10
    assert [entry["step"] for entry in trace(folder)] == list(range(10))
    assert in_process("checkpoint", "inspect", str(folder)).count("whole") == 2
    assert "shorter" in in_process("train", str(path), code=2)


def test_non_finite_loss_stops_with_step_and_samples(tmp_path, config, train_plainly):
    (end,) = train_plainly(plainly(config("hot", unlabelled={"objective": None}, optimizer={"lr": 1e30})))
    assert re.match(r"step \d+: loss is nan", end["error"])
    assert "samples of this step: toy1-" in end["error"]
    assert not (tmp_path / "runs" / "hot" / "finished.json").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "unknown key 'training.epoch': did you mean 'epochs'?"),
        (
            "data.train=/nowhere/train",
            "/nowhere/train/manifest.json: no such manifest; run 'landmarks prepare' first",
        ),
        ("tracking.uri=http://127.0.0.1:9", "no MLflow server answers there"),
        ("tracking.uri=./mlruns", "not a folder"),
        ("cluster.workers=3", "3 workers do not divide data.streams = 4"),
        ("loss.name=laplac_kl", "did you mean 'laplace_kl'?"),
        ("data.labelled_count=61", "data.labelled_count = 61: the set 'toy' holds 60"),
    ],
)
def test_bad_input_is_explained_before_anything_starts(config, override, message, in_process):
    output = in_process("train", str(config("bad")), override, code=2)
    assert message in output.replace("\n", " ")
    assert "Traceback" not in output


def test_a_second_training_of_a_name_is_refused_before_anything_starts(tmp_path, config, in_process):
    # In a process of its own, as whoever trains it is.
    hold = (
        "import sys\nfrom pipeline.ownership import owned\n"
        f"with owned({str(tmp_path / 'runs' / 'taken')!r}, 'it', '-'):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert holder.stdout.readline() == "held\n"
    output = in_process("train", str(config("taken")), code=2)
    assert f"run 'taken' is worked on already, by process {holder.pid} on " in output
    assert "choose another name=…" in output
    assert not (tmp_path / "runs" / "taken" / "config.yaml").exists()
    assert not (tmp_path / "mlflow.db").exists()
    holder.communicate()
    assert not (tmp_path / "runs" / "taken").exists()


def test_dry_run_prints_the_plan_and_starts_nothing(tmp_path, config, in_process):
    output = in_process("train", str(config("dry")), "--dry-run")
    assert "17,408 parameters (rcn)" in output
    assert "24 = 3.2 epochs of 7.5 steps" in output
    assert "8 labelled + 8 unlabelled" in output
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def damaged_set(tmp_path, make_toy_set) -> Path:
    """Sixty faces, the first of which cannot be decoded."""
    folder = make_toy_set(tmp_path / "bad-set", 60, seed=9)
    shard = folder / load_manifest(str(folder)).shards[0].path
    content = bytearray(shard.read_bytes())
    at = content.find(b"\xff\xd8\xff")  # the first image's JPEG header
    content[at : at + 64] = bytes(64)
    shard.write_bytes(bytes(content))
    return folder


def test_few_bad_samples_are_quarantined(tmp_path, config, damaged_set, train_plainly):
    raw = plainly(config("tolerant", unlabelled={"objective": None}, training__steps=15))
    raw["data"] |= {"train": str(damaged_set), "max_bad_share": 0.05}
    assert train_plainly(raw)[0]["error"] is None
    quarantined = (tmp_path / "runs" / "tolerant" / "quarantine.jsonl").read_text().splitlines()
    assert len(quarantined) == 1
    assert json.loads(quarantined[0])["key"].startswith("toy9-000000-")


@pytest.mark.cluster
def test_many_bad_samples_stop_the_run_and_the_user_reads_why(tmp_path, config, damaged_set, landmarks):
    # With a loss of the user's own, found beside the config by driver and workers.
    (tmp_path / "my_team").mkdir()
    (tmp_path / "my_team" / "focal.py").write_text(
        "from pipeline.losses.laplace_kl import LaplaceKL\n\nLOSS = LaplaceKL\n"
    )
    # Elastic: of the two cores as many as there are, which are both.
    changes = {"unlabelled": {"objective": None}, "training__steps": 15, "cluster__min_workers": 1}
    path = config("strict", loss={"name": "my_team.focal"}, cluster__workers=2, **changes)
    sets = (f"data.train={damaged_set}", "data.max_bad_share=0.0")
    output = landmarks.run("train", str(path), *sets, code=2, cwd=tmp_path)
    assert "over data.max_bad_share = 0.0" in output
    assert "landmarks verify" in output
    assert "Traceback" not in output
    assert {f.name for f in (tmp_path / "runs" / "strict" / "trace").iterdir()} == {
        "rank0.jsonl",
        "rank1.jsonl",
    }
