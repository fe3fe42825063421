"""The yardstick does the same work: the same images and landmarks, a step that learns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from jobs.bench.plain import batches, measure, read_samples
from pipeline.shards.manifest import SampleMeta, join, load_manifest
from pipeline.shards.read import iterate_shard
from pipeline.training.config.experiment import ExperimentConfig


def experiment(sets, **changes) -> ExperimentConfig:
    raw = {
        "name": "bench",
        "input_size": 32,
        "data": {"train": str(sets["train"]), "unlabelled": str(sets["unlabelled"])},
        "model": {"name": "rcn", "width": 4},
        "training": {"select": "last", "batch": 4},
    }
    return ExperimentConfig.model_validate(raw | changes)


ADVERSARIAL = {
    "objective": {
        "name": "adversarial",
        "weight": 0.001,
        "heatmaps": "density",
        "fake_from": "unlabelled",
        "discriminator": {"name": "patchgan", "width": 4},
    }
}


def test_reads_the_samples_and_their_landmarks(toy_sets) -> None:
    folder = str(toy_sets["train"])
    samples = read_samples(folder, 20)
    shards = load_manifest(folder).shards
    raws = list(
        itertools.islice((r for s in shards for r in iterate_shard(join(folder, s.path))), len(samples))
    )
    assert [jpeg for jpeg, _ in samples] == [raw.jpg for raw in raws]
    images, points = next(batches(samples, 20, 80))
    assert images.shape == (20, 3, 80, 80)
    assert 0 <= images.min() < images.max() <= 1
    expected = {tuple(np.round(SampleMeta.model_validate_json(raw.json).crop_points()[0], 2)) for raw in raws}
    assert {tuple(np.round(p[0].double().numpy(), 2)) for p in points} == expected


def test_resamples_images_and_landmarks_alike(toy_sets) -> None:
    samples = read_samples(str(toy_sets["train"]), 8)
    full, half = (next(batches(samples, 8, size)) for size in (80, 40))
    assert half[0].shape == (8, 3, 40, 40)
    torch.testing.assert_close(half[1], (full[1] + 0.5) / 2 - 0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"unlabelled": ADVERSARIAL},
        {"training": {"select": "last", "batch": 4, "precision": "bf16", "gradient_clipping": 1.0}},
    ],
    ids=["supervised", "semi-supervised", "bf16-clipped"],
)
def test_measures_images_per_second(toy_sets, changes) -> None:
    rate = measure(experiment(toy_sets, **changes), steps=2, warmup=1)
    assert 0.01 < rate < 1e6
