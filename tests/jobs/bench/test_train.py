"""``landmarks bench train``: small, through the real path."""

from __future__ import annotations

import csv

import pytest

from jobs.bench.train import WINDOW, bench, bench_config
from pipeline.errors import ConfigError, ManifestError
from pipeline.methods.unlabelled.weights import Weight
from pipeline.training.config.experiment import ExperimentConfig


def experiment(sets, **changes) -> ExperimentConfig:
    raw = {
        "name": "experiment",
        "input_size": 32,
        "data": {
            "train": str(sets["train"]),
            "validation": str(sets["validation"]),
            "unlabelled": str(sets["unlabelled"]),
            "streams": 4,
        },
        "model": {"name": "rcn", "width": 4},
        "unlabelled": {
            "objective": {
                "name": "adversarial",
                "weight": 0.001,
                "heatmaps": "density",
                "fake_from": "unlabelled",
                "discriminator": {"name": "patchgan", "width": 4},
            }
        },
        "training": {"batch": 4},
        "cluster": {"workers": 2},
    }
    return ExperimentConfig.model_validate(raw | changes)


def test_only_training_is_left_to_measure(toy_sets, tmp_path) -> None:
    config = experiment(toy_sets)
    chosen = bench_config(config, 25, str(tmp_path), "bench-0")
    assert chosen.training.steps == WINDOW + 30  # whole windows
    assert chosen.data.validation is None
    assert chosen.training.checkpoint_every * 60 / 4 > chosen.training.steps
    assert chosen.cluster.workers == 1
    assert chosen.cluster.storage.startswith(str(tmp_path))
    assert str(tmp_path) in chosen.tracking.uri
    # The recipe itself is the experiment's.
    assert (chosen.model, chosen.loss, chosen.optimizer) == (config.model, config.loss, config.optimizer)
    assert chosen.unlabelled == config.unlabelled


def test_an_objective_the_plain_loop_does_not_know_is_refused_at_once(toy_sets, monkeypatch) -> None:
    config = experiment(toy_sets)
    for changes in (
        {"name": "something_else"},
        {"weight": Weight(share=0.1)},
        {"weight": Weight(fixed=0.1, ramp_steps=5)},
        {"fake_from": "both"},
        {"pair_augmentation": {"flip": 0.5}},
    ):
        other = config.unlabelled.objective.model_copy(update=changes)
        unknown = config.model_copy(
            update={"unlabelled": config.unlabelled.model_copy(update={"objective": other})}
        )
        with pytest.raises(ConfigError, match="the plain loop knows 'adversarial' as"):
            bench(unknown, steps=1, rounds=1, out=None)


def test_weights_the_plain_loop_does_not_know_are_refused_at_once(toy_sets) -> None:
    config = experiment(toy_sets)
    data = config.data.model_copy(update={"focal_attributes": ("rare",)})
    with pytest.raises(ConfigError, match="focal_attributes"):
        bench(config.model_copy(update={"data": data}), steps=1, rounds=1, out=None)


def test_missing_sets_are_named_at_once(toy_sets, tmp_path) -> None:
    config = experiment(toy_sets | {"train": tmp_path / "nowhere"})
    with pytest.raises(ManifestError, match="nowhere"):
        bench(config, steps=1, rounds=1, out=None)


@pytest.mark.slow
@pytest.mark.cluster
def test_measures_both_sides_in_turn(toy_sets, tmp_path, capsys) -> None:
    out = tmp_path / "train.csv"
    bench(experiment(toy_sets), steps=5, rounds=1, out=str(out))
    (row,) = csv.DictReader(out.open())
    ours, plain = float(row["ours_images_per_second"]), float(row["plain_images_per_second"])
    assert 0.1 < ours < 1e6
    assert 0.1 < plain < 1e6
    assert float(row["ratio"]) == pytest.approx(ours / plain, rel=1e-3)
    assert row["step"] == "semi-supervised"
    assert (row["batch"], row["unlabelled_batch"], row["threads"]) == ("4", "4", "1")
    assert row["cpu"]
    assert row["deepspeed"]
    assert f"{ours:.1f}" in capsys.readouterr().out
