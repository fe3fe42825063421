"""A forecast by hand: what a short run took, times how often it happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.forecast import Measured, forecast, times_due
from pipeline.training.plan import derive

MEASURED = Measured(
    step=0.5,
    validation=6.0,
    images=2.0,
    checkpoint=3.0,
    around=20.0,
    memory_mib=1000.0,
    gpu_memory_mib=None,
    checkpoint_bytes=1000,
    model_bytes=100,
)


@pytest.fixture
def plan(toy_experiment):
    """60 labelled and 90 unlabelled faces; validated after 40, 80 and 100 steps of 8 + 8."""
    toy_experiment["training"] |= {
        "steps": 100,
        "cadence": "steps",
        "validate_every": 40,
        "checkpoint_every": 50,
        "image_every": 200,
        "batch": 8,
    }
    toy_experiment["cluster"] |= {"workers": 2, "keep_checkpoints": 3}
    return derive(ExperimentConfig.model_validate(toy_experiment))


def test_what_is_due_happens_after_the_last_step_too(plan):
    happened = {
        n: sum(plan.due(step, n) for step in range(1, plan.steps + 1)) for n in (1, 40, 50, 99, 100, 200)
    }
    assert {n: times_due(plan, n) for n in happened} == happened
    assert happened == {1: 100, 40: 3, 50: 2, 99: 2, 100: 1, 200: 1}


def test_times_add_up(plan):
    expected = forecast(plan, MEASURED)
    assert expected.training == 100 * 0.5
    assert expected.validation == 3 * 6.0 / 2  # the two workers share the faces
    assert expected.images == 2.0
    assert expected.checkpoints == 2 * 3.0
    assert expected.seconds == 50 + 9 + 2 + 6 + 20


def test_bytes_are_those_of_the_faces_and_of_what_is_kept(plan):
    expected = forecast(plan, MEASURED)
    assert plan.unlabelled is not None
    assert plan.validation is not None
    step = 8 * plan.train.bytes / 60 + 8 * plan.unlabelled.sets.bytes / 90
    assert expected.read_bytes == pytest.approx(100 * step + 3 * plan.validation.bytes)
    assert expected.read_bytes_per_second == pytest.approx(step / 0.5)
    assert expected.stored_bytes == 3 * 1000 + 2 * 100


def test_without_unlabelled_and_held_out_faces_nothing_is_counted_of_them(plan):
    alone = replace(plan, validation=None, unlabelled=None)
    expected = forecast(alone, MEASURED)
    assert expected.validation == 0
    assert expected.read_bytes == pytest.approx(100 * 8 * plan.train.bytes / 60)
