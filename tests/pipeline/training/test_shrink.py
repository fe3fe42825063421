"""Shrunk targets against hand-made values."""

import pytest
import torch

from pipeline.training.config.data import ShrinkConfig
from pipeline.training.shrink import radius_at, shrunk_targets


def test_radius_falls_linearly_to_zero():
    config = ShrinkConfig(radius=0.05, until=0.5)
    assert [radius_at(config, step, 100, 80) for step in (0, 25, 40, 50, 99)] == pytest.approx(
        [4, 2, 0.8, 0, 0]
    )


def test_targets_by_hand():
    predicted = torch.tensor([[[13.0, 24.0], [10.5, 20.0], [10.0, 20.0]]]).expand(3, -1, -1)
    label = torch.tensor([[[10.0, 20.0]] * 3]).expand(3, -1, -1)
    targets = shrunk_targets(predicted, label, torch.tensor([2.5, 5.0, 0.0]))
    # (3, 4) away, 5 px: half way at radius 2.5. Nearer than the radius, or on its rim: the prediction. Radius 0: the label.
    assert targets[0].tolist() == [[11.5, 22.0], [10.5, 20.0], [10.0, 20.0]]
    assert targets[1].tolist() == predicted[1].tolist()
    assert targets[2].tolist() == label[2].tolist()


def test_unknown_landmarks_stay_unknown_and_no_gradient_flows_through_targets():
    predicted = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]], requires_grad=True)
    label = torch.tensor([[[0.0, 2.0], [torch.nan, torch.nan]]])
    targets = shrunk_targets(predicted, label, torch.tensor([0.25]))
    assert not targets.requires_grad
    torch.testing.assert_close(targets, torch.tensor([[[0.25, 2.0], [torch.nan, torch.nan]]]), equal_nan=True)
    # The error beyond the disc is what is left to learn: 0.75 px.
    (predicted - targets).nan_to_num().norm().backward()
    torch.testing.assert_close(predicted.grad[0, 0], torch.tensor([1.0, 0.0]))
