"""Running statistics of two ranks become one: against plain numpy, and through the training loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline.training.statistics import average_statistics

SCRIPT, TESTS = Path(__file__).with_name("two_ranks.py"), Path(__file__).resolve().parents[2]


def test_one_rank_is_left_as_it_is():
    layer = nn.BatchNorm2d(3)
    layer(torch.randn(5, 3, 4, 4))
    before = layer.running_mean.clone()
    average_statistics([layer], 1)
    assert torch.equal(layer.running_mean, before)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory, toy_sets):
    """The folder that two processes left."""
    folder = tmp_path_factory.mktemp("ranks")
    raw = {
        "name": "run",
        "data": {**{k: str(v) for k, v in toy_sets.items()}, "streams": 4},
        "model": {"name": "hourglass", "stacks": 1, "width": 8, "levels": 2},
        "unlabelled": {"objective": {"name": "mean_teacher"}},
        "training": {"epochs": None, "steps": 3, "batch": 8, "cadence": "steps", "ema_decay": 0.9}
        | {"validate_every": 3, "checkpoint_every": 2, "image_every": 9},
        "cluster": {"storage": str(folder), "workers": 2},
    }
    (folder / "config.json").write_text(json.dumps(raw))
    # The plain host, which a rank's host is one of, lies with all tests.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent)))}
    started = [
        subprocess.Popen([sys.executable, str(SCRIPT), str(rank), str(folder)], env=environment)
        for rank in (0, 1)
    ]
    assert [rank.wait(timeout=300) for rank in started] == [0, 0]
    return folder


def test_the_mean_over_ranks_is_that_of_numpy_however_often_it_is_taken(ranks):
    expected = np.zeros((2, 3))
    for rank in (0, 1):
        running = np.stack([np.zeros(3), np.ones(3)])
        for seen_B3HW in np.load(ranks / f"images-{rank}.npy").astype(np.float64):
            seen_3N = seen_B3HW.transpose(1, 0, 2, 3).reshape(3, -1)
            running = 0.9 * running + 0.1 * np.stack([seen_3N.mean(1), seen_3N.var(1, ddof=1)])
        expected += running / 2
    for often in ("always", "once"):
        both = [np.load(ranks / f"{often}-{rank}.npy") for rank in (0, 1)]
        np.testing.assert_allclose(both[0], expected, rtol=1e-5)
        np.testing.assert_array_equal(both[0], both[1])  # to the bit


def test_the_loop_validates_saves_and_exports_one_network(ranks):
    def states(step: int) -> list[dict[str, torch.Tensor]]:
        every = [load_file(ranks / f"step{step}-{rank}.safetensors") for rank in (0, 1)]
        return [{name: value for name, value in state.items() if "running" in name} for state in every]

    own, saved, validated = states(1), states(2), states(3)
    assert len(own[0]) > 2
    assert any(
        not torch.equal(own[0][name], own[1][name]) for name in own[0]
    )  # between, each follows its own share
    for both in (saved, validated):
        assert all(torch.equal(both[0][name], both[1][name]) for name in own[0])
    for which in ("best", "last"):
        (file,) = (ranks / "run" / "models" / which).glob("*.safetensors")
        exported = load_file(file)
        assert all(torch.equal(exported[name], value) for name, value in validated[0].items())


def test_every_rank_asks_the_same_teacher_whose_statistics_are_the_mean_of_the_step_before(ranks):
    before = [load_file(ranks / f"step1-{rank}.safetensors") for rank in (0, 1)]
    teachers = [load_file(ranks / f"teacher2-{rank}.safetensors") for rank in (0, 1)]
    assert all(torch.equal(teachers[0][name], value) for name, value in teachers[1].items())
    running = [name for name in before[0] if "running" in name]
    assert any(not torch.equal(before[0][name], before[1][name]) for name in running)
    for name in running:
        torch.testing.assert_close(teachers[0][name], (before[0][name] + before[1][name]) / 2)
