"""The oracle itself: it learns, its order is fair, and its error is an error in original pixels."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from pipeline.shards.manifest import SampleMeta, join, load_manifest
from pipeline.shards.read import iterate_shard

SCRIPT = Path(__file__).with_name("plain_loop.py")


@pytest.fixture(scope="module")
def plain_loop() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plain_loop", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["plain_loop"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small_set(make_toy_set, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_set(tmp_path_factory.mktemp("oracle") / "train", 24, seed=5, size=32)


@pytest.mark.parametrize("loss", ["laplace_kl", "softargmax_l2"])
def test_loss_and_error_fall(plain_loop, toy_sets, loss) -> None:
    result = plain_loop.run(
        str(toy_sets["train"]), str(toy_sets["validation"]), epochs=5, batch=6, width=4, loss=loss,
        dropout=0.0, lr=5e-3,
    )  # fmt: skip
    assert result["steps"] == 50
    assert len(result["loss"]) == len(result["nme"]) == 5
    assert result["loss"][-1] < 0.7 * result["loss"][0]
    assert result["best"] == min(result["nme"]) < 0.8 * result["nme"][0]


def test_the_adversarial_step_changes_the_generator_and_still_learns(plain_loop, toy_sets, small_set) -> None:
    common = {"steps": 18, "batch": 4, "width": 4, "dropout": 0.0, "discriminator_width": 4, "lr": 3e-3}
    alone = plain_loop.run(str(small_set), **common)
    with_discriminator = plain_loop.run(
        str(toy_sets["train"]), unlabelled=str(toy_sets["unlabelled"]), test=str(toy_sets["test"]),
        **common | {"batch": 6, "steps": 20},
    )  # fmt: skip
    assert alone["loss"][-1] < alone["loss"][0]
    assert with_discriminator["loss"][-1] < with_discriminator["loss"][0]
    assert 0 < with_discriminator["test"] < 100


def test_every_pass_visits_every_sample_once(plain_loop) -> None:
    batches = plain_loop.shuffled(10, 4, torch.Generator().manual_seed(0))
    drawn = torch.cat(list(itertools.islice(batches, 5))).tolist()
    assert Counter(drawn[:10]) == Counter(drawn[10:]) == Counter(range(10))
    assert drawn[:10] != drawn[10:]


def test_reads_what_the_pipeline_reads(plain_loop, small_set) -> None:
    data = plain_loop.TarSet(str(small_set))
    manifest = load_manifest(str(small_set))
    raws = [raw for shard in manifest.shards for raw in iterate_shard(join(str(small_set), shard.path))]
    expected = np.stack([SampleMeta.model_validate_json(raw.json).crop_points() for raw in raws])
    np.testing.assert_allclose(data.points_NK2, expected, atol=1e-4)
    assert data.jpegs == [raw.jpg for raw in raws]
    assert data.images(torch.tensor([0, 3])).shape == (2, 3, 32, 32)


def test_error_is_in_original_pixels(plain_loop, small_set) -> None:
    class Displaced(torch.nn.Module):
        """Puts all of a heatmap's mass one stored pixel right of the nearest pixel to the truth."""

        def __init__(self, data) -> None:
            super().__init__()
            self.places, self.size = data.points_NK2.round().long(), 32

        def forward(self, images):
            batch, landmarks = len(images), self.places.shape[1]
            logits = torch.full((batch, landmarks, self.size, self.size), -1e4)
            x, y = (self.places[:batch, :, axis].clamp(0, self.size - 2) for axis in (0, 1))
            rows = torch.arange(batch)[:, None], torch.arange(landmarks)[None]
            logits[(*rows, y, x + 1)] = 0.0
            return logits

    data = plain_loop.TarSet(str(small_set))
    measured = plain_loop.nme(Displaced(data), 1.0, data)
    placed = data.places = data.points_NK2.round().clamp(0, 30) + torch.tensor([1.0, 0.0])
    truth = data.truth_NK2
    # By hand: the square's 1.5 original px per stored px, its corner at (10, 6).
    error = ((placed + 0.5) * 1.5 - 0.5 + torch.tensor([10.0, 6.0]) - truth).norm(dim=-1).mean(1)
    ocular = (truth[:, 36] - truth[:, 45]).norm(dim=-1)
    assert measured == pytest.approx(100 * float((error / ocular).mean()), rel=1e-5)


def test_runs_as_a_script(small_set) -> None:
    command = [sys.executable, str(SCRIPT), "--train", str(small_set), "--steps", "2", "--width", "4"]
    environment = {"PYTHONPATH": str(SCRIPT.parents[2]), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    result = json.loads(done.stdout)
    assert result["steps"] == 2
    assert result["loss"][0] > 0
