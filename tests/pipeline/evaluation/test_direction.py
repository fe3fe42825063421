"""The record of normal and tangent errors, on a face worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.evaluation.direction import summarise_direction
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import evaluate
from pipeline.markup import Markup


@pytest.fixture
def shifted(tiny_face) -> Predictions:
    """Both eyes lie along x. Off by (4, 3) px; the second face, twice the size, by (2, 4)."""
    target = np.stack([tiny_face, 2 * tiny_face])
    return Predictions(
        keys=np.array(["a", "b"]),
        points_NK2=target + np.array([[[4.0, 3.0]], [[2.0, 4.0]]]),
        target_NK2=target,
        mask_NK=np.ones((2, 6), dtype=bool),
        scale_N=np.ones(2),
    )


def test_numbers_by_hand(shifted, tiny, protocol):
    summary = evaluate(shifted, tiny, protocol, run="base").direction
    assert summary is not None
    assert summary.normal_nme == pytest.approx((3 + 4 / 2) / 2)
    assert summary.tangent_nme == pytest.approx((4 + 2 / 2) / 2)
    assert summary.nme == pytest.approx((5 + 20**0.5 / 2) / 2)
    assert summary.bias_rate == pytest.approx(0.0)
    assert summary.landmarks == 8  # nose tip and chin have no direction
    assert summary.curves["left_eye"].normal == pytest.approx(2.5)
    assert summary.curves["chin"].normal is summary.curves["chin"].tangent is None
    assert list(summary.curves) == ["left_eye", "right_eye", "chin"]


def test_the_bias_follows_the_masks_and_the_sizes(shifted, tiny):
    shifted.mask_NK[1, :4] = False
    sizes = np.array([100.0, 200.0])
    summary = summarise_direction(shifted, sizes, tiny)
    assert summary is not None
    assert summary.bias_rate == pytest.approx(100 / 3)
    assert summary.landmarks == 4
    undefined = summarise_direction(shifted, np.array([np.nan, 200.0]), tiny)
    assert undefined is not None
    assert undefined.normal_nme is undefined.tangent_nme is undefined.nme is undefined.bias_rate is None


def test_a_markup_without_curves_has_no_directions(shifted, protocol, tiny):
    dots = Markup("dots", 6, (), ())
    assert summarise_direction(shifted, np.array([100.0, 200.0]), dots) is None
    no_curves = dataclasses.replace(tiny, curves=())
    assert evaluate(shifted, no_curves, protocol, run="base").direction is None
