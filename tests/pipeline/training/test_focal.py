"""The focal factor by hand-made batches; over ranks: test_step.py."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.losses.base import masked_mean
from pipeline.training.focal import focal_factor, weigh


def test_a_rare_attribute_weighs_more_than_a_common_one():
    labels = torch.tensor([[1, 1], [1, 0], [1, 0], [0, 0]], dtype=torch.bool)
    # Three of four have the first attribute: 4/3. One has the second: 4.
    expected = torch.tensor([(4 / 3 + 4) / 2, (4 / 3 + 1) / 2, (4 / 3 + 1) / 2, 1.0])
    torch.testing.assert_close(focal_factor(labels, torch.ones(4, dtype=torch.bool)), expected)


def test_an_attribute_that_no_face_has_changes_nothing():
    none = torch.zeros(3, 2, dtype=torch.bool)
    assert torch.equal(focal_factor(none, torch.ones(3, dtype=torch.bool)), torch.ones(3))


def test_faces_that_could_not_be_read_are_not_counted():
    labels = torch.tensor([[1], [0], [1]], dtype=torch.bool)
    weights = focal_factor(labels, torch.tensor([True, True, False]))
    # Of two faces one has it.
    torch.testing.assert_close(weights[:2], torch.tensor([2.0, 1.0]))
    assert torch.isfinite(focal_factor(labels, torch.zeros(3, dtype=torch.bool))).all()


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_weights_are_at_least_one_and_average_at_most_two(labels_NC):
    weights = focal_factor(torch.from_numpy(labels_NC), torch.ones(len(labels_NC), dtype=torch.bool))
    assert (weights >= 1).all()
    assert weights.mean() <= 2 + 1e-5


@given(st.integers(0, 2**31))
def test_the_loss_is_divided_by_landmarks_not_by_weights(seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(4, 5, generator=generator)
    mask = torch.rand(4, 5, generator=generator) < 0.7
    weights = mask * (1 + torch.rand(4, 1, generator=generator))
    loss = weigh(masked_mean(values, weights), mask, weights)
    known = max(int(mask.sum()), 1)
    expected = (
        sum((values[n, k] * weights[n, k]).item() for n in range(4) for k in range(5) if mask[n, k]) / known
    )
    assert loss.item() == pytest.approx(expected, rel=1e-4)
