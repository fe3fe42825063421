"""``landmarks scale`` for real: a grid of runs, killed, resumed, and extended by a seed; measured as plain numpy measures."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml

pytestmark = pytest.mark.cluster


def keys_seen(run) -> set[str]:
    lines = (run / "trace" / "rank0.jsonl").read_text().splitlines()
    return {key for line in lines for key in json.loads(line)["keys"]}


@pytest.mark.parametrize(
    ("more", "new"),
    [
        ("scale.supervised_labelled=[48]", {"laplace-l48-u0-s0"}),
        pytest.param(
            "scale.seeds=[0,1]", {"laplace-l24-u0-s1", "laplace-l24-u40-s1"}, marks=pytest.mark.slow
        ),
    ],
    ids=["labels", "seed"],
)
def test_grid_is_killed_resumed_and_extended(tmp_path, toy_experiment, landmarks, lone_landmarks, more, new):
    toy_experiment["scale"] = {
        "unlabelled": [40],
        "labelled": [24],
        "seeds": [0],
        "methods": {"laplace": {"supervised": {"optimizer.lr": 0.002}}},
        "storage": str(tmp_path / "scale"),
    }
    path, folder = tmp_path / "study.yaml", tmp_path / "scale" / "toy"
    path.write_text(yaml.safe_dump(toy_experiment))
    runs = folder / "runs"

    def finished() -> dict[str, int]:
        return {f.parent.name: f.stat().st_mtime_ns for f in runs.glob("*/finished.json")}

    lone_landmarks.kill_when(lambda: bool(finished()), "scale", str(path))
    before = finished()
    assert not (folder / "study.json").exists()

    landmarks.run("scale", str(path))
    after = finished()
    assert {name: after[name] for name in before} == before
    assert set(after) == {"laplace-l24-u0-s0", "laplace-l24-u40-s0"}

    with (folder / "cells.csv").open() as file:
        cells = {row["run"]: row for row in csv.DictReader(file)}
    assert set(cells) == set(after)
    for name, row in cells.items():
        measured = np.load(next((folder / "measured").glob(f"{name}.*.npz")))
        error = np.linalg.norm(measured["points_NK2"] - measured["target_NK2"], axis=-1).mean(axis=1)
        ocular = np.linalg.norm(measured["target_NK2"][:, 36] - measured["target_NK2"][:, 45], axis=-1)
        assert float(row["nme_percent"]) == pytest.approx(100 * (error / ocular).mean(), rel=1e-5)
        assert int(row["steps"]) == 12
    chosen = keys_seen(runs / "laplace-l24-u0-s0")
    assert len(chosen) == 24
    # Beside the same labelled faces, 40 unlabelled ones.
    beside = keys_seen(runs / "laplace-l24-u40-s0")
    assert chosen < beside
    assert len(beside - chosen) == 40
    config = yaml.safe_load((runs / "laplace-l24-u0-s0" / "config.yaml").read_text())
    assert config["optimizer"]["lr"] == 0.002
    assert config["unlabelled"]["objective"] is None

    import mlflow

    ids = json.loads((folder / "mlflow.json").read_text())
    client = mlflow.MlflowClient(tracking_uri=ids["uri"])
    experiment = client.get_experiment_by_name("landmarks").experiment_id

    def ends() -> dict[str, int]:
        return {r.info.run_name: r.info.end_time for r in client.search_runs([experiment])}

    ended = ends()
    output = landmarks.run("scale", str(path), more)
    # The study went on; the cells it had did not.
    assert {name: ends()[name] for name in after} == {name: ended[name] for name in after}
    assert ends()["toy"] > ended["toy"]
    extended = finished()
    assert {name: extended[name] for name in after} == after
    assert set(extended) - set(after) == new
    # Of one seed, the fewer faces are among the more; another draws others.
    assert all((chosen < keys_seen(runs / name)) == name.endswith("-s0") for name in new)
    study = json.loads((folder / "study.json").read_text())
    assert len(study["study"]["cells"]) == len(extended)
    seeds = {name.rpartition("-s")[2] for name in extended}
    assert {len(c["seeds"]) for c in study["levels"]} == {len(seeds)}
    assert ("2 seeds" in output.replace("\n", " ")) == (len(seeds) == 2)
    assert "data:image/svg+xml" in (folder / "report.html").read_text()

    tracked = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{ids['run_id']}'")
    assert sorted(r.info.run_name for r in tracked) == sorted(extended)
    assert {r.info.status for r in tracked} == {"FINISHED"}
    assert all("system/worker0/memory_mib" in r.data.metrics for r in tracked)
    assert any(a.path == "models" for a in client.list_artifacts(tracked[0].info.run_id))
