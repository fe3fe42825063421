"""The learning rate at steps worked out by hand."""

import math

import pytest

from pipeline.registry import Part, build


def rates(total: int, steps: list[int], name: str = "constant", **config) -> list[float]:
    schedule = build("schedule", Part.model_validate({"name": name, **config}), steps=total)
    return [schedule(step) for step in steps]


def test_constant():
    assert rates(100, [0, 50, 99], name="constant") == [1.0, 1.0, 1.0]


def test_warmup_is_linear_and_ends_at_the_full_rate():
    assert rates(100, [0, 1, 3, 4], warmup_steps=4) == [0.25, 0.5, 1.0, 1.0]
    assert rates(100, [0, 3], warmup_steps=4, name="cosine") == [0.25, 1.0]
    assert rates(100, [0, 3], warmup_steps=4, name="steps", milestones=[0.5]) == [0.25, 1.0]


def test_steps_drop_at_shares_of_the_run():
    # 350 and 450 of 500 epochs, as ADNet: 70 % and 90 %.
    got = rates(1000, [0, 699, 700, 899, 900, 999], name="steps", milestones=[0.7, 0.9], factor=0.1)
    assert got == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert rates(10, [4, 5], name="steps", milestones=[0.5], factor=0.5) == [1.0, 0.5]


def test_cosine():
    got = rates(100, [0, 25, 50, 75, 100, 200], name="cosine", final=0.0)
    expected = [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0.0, 0.0]
    assert got == pytest.approx(expected, abs=1e-12)
    got = rates(100, [0, 50, 100], name="cosine", final=0.1)
    assert got == pytest.approx([1.0, 0.55, 0.1])


def test_cosine_after_warmup_runs_over_the_rest():
    got = rates(110, [10, 60, 110], name="cosine", warmup_steps=10)
    assert got == pytest.approx([1.0, 0.5, 0.0], abs=1e-12)


def test_a_run_shorter_than_its_warmup():
    assert rates(2, [0, 1], warmup_steps=10, name="cosine") == [0.1, 0.2]
    assert rates(0, [0], name="cosine") == [1.0]
