"""Compiled and channels-last trainings through the loop: the eager run's losses, weights under their names, resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor, equal

pytestmark = pytest.mark.slow  # compiles for a minute


def config(name: str, root: Path, toy_sets: dict[str, Path], **training: Any) -> dict[str, Any]:
    """Three steps of the smallest network with a discriminator, by plain descent."""
    quiet = {"name": "patchgan", "width": 4, "layers": 2, "noise": 0.0}
    return {
        "name": name,
        "input_size": 16,
        "data": {**{k: str(toy_sets[k]) for k in ("train", "validation", "unlabelled")}, "streams": 4},
        "model": {"name": "rcn", "width": 4, "dropout": 0.0},
        "optimizer": {"name": "sgd", "lr": 1e-3},
        "unlabelled": {
            "objective": {"name": "adversarial", "weight": 1.0, "discriminator": quiet},
            "optimizer": {"name": "sgd", "lr": 1e-3},
        },
        "training": {"epochs": None, "steps": 3, "batch": 4, "trace": True}
        | {"cadence": "steps", "checkpoint_every": 9, "validate_every": 9, "image_every": 9}
        | training,
        "cluster": {"storage": str(root)},
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, toy_sets, train_plainly) -> Path:
    root = tmp_path_factory.mktemp("compiled")
    compiled = {"compile": True, "channels_last": True, "accumulate": 2}
    made = [
        config("eager", root, toy_sets),
        config("laid-out", root, toy_sets, channels_last=True, accumulate=2),
        config("compiled", root, toy_sets, **compiled),
        config("resumed", root, toy_sets, **compiled, steps=2),
        config("resumed", root, toy_sets, **compiled),
    ]
    assert [end["error"] for end in train_plainly(*made)] == [None] * len(made)
    return root


def losses(root: Path, name: str) -> list[dict[str, float]]:
    lines = (root / name / "trace" / "rank0.jsonl").read_text().splitlines()
    return [{k: float.fromhex(v) for k, v in json.loads(line)["metrics"].items()} for line in lines]


def weights(root: Path, name: str) -> dict[str, Tensor]:
    return load_file(next((root / name / "models" / "last").glob("*.safetensors")))


@pytest.mark.parametrize("name", ["laid-out", "compiled"])
def test_a_run_has_the_losses_and_the_names_of_the_eager_one(runs, name):
    for ours, theirs in zip(losses(runs, name), losses(runs, "eager"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    ours, theirs = weights(runs, name), weights(runs, "eager")
    assert list(ours) == list(theirs)
    assert any(not equal(ours[key], value) for key, value in theirs.items())  # it was computed in another way


def test_a_compiled_run_is_not_the_eager_one_in_disguise(runs):
    ours, theirs = weights(runs, "compiled"), weights(runs, "laid-out")
    assert any(not equal(ours[name], value) for name, value in theirs.items())


def test_a_compiled_run_resumes_to_the_bit(runs):
    assert losses(runs, "resumed") == losses(runs, "compiled")
    whole = weights(runs, "compiled")
    assert all(equal(whole[name], value) for name, value in weights(runs, "resumed").items())
