"""``landmarks bench start``: small, through the real commands."""

from __future__ import annotations

import csv
import json

import pytest

from jobs.bench.start import bench, start_config
from pipeline.errors import ManifestError
from pipeline.training.config.experiment import ExperimentConfig


def test_a_start_is_the_experiment_with_few_steps_in_a_folder_of_its_own(toy_experiment, tmp_path) -> None:
    config = ExperimentConfig.model_validate(toy_experiment)
    chosen = start_config(config, 3, str(tmp_path), "start-0")
    assert (chosen.training.steps, chosen.training.epochs) == (3, None)
    assert str(tmp_path) in chosen.cluster.storage
    assert str(tmp_path) in chosen.tracking.uri
    assert (chosen.model, chosen.loss, chosen.unlabelled) == (config.model, config.loss, config.unlabelled)


def test_missing_sets_are_named_at_once(toy_experiment, tmp_path) -> None:
    toy_experiment["data"]["train"] = str(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match="nowhere"):
        bench(ExperimentConfig.model_validate(toy_experiment), steps=1, rounds=1, out=None)


@pytest.mark.slow
@pytest.mark.cluster
def test_every_command_is_measured_over_all_its_processes(toy_experiment, tmp_path, capsys) -> None:
    out = tmp_path / "start.csv"
    toy_experiment["unlabelled"] = {}
    bench(ExperimentConfig.model_validate(toy_experiment), steps=2, rounds=1, out=str(out))
    rows = list(csv.DictReader(out.open()))
    assert [row["command"] for row in rows] == ["help", "dry run", "training, 2 steps"]
    # Seconds are the machine's; that the training's are those of several processes is not.
    processes = json.loads(rows[-1]["processes"])
    assert {"driver", "ray: raylet"} <= processes.keys()
    assert any(name.startswith("ray::") for name in processes)
    assert sum(processes.values()) == pytest.approx(float(rows[-1]["cpu_seconds"]), abs=0.2)
    assert "training, 2 steps" in capsys.readouterr().out
