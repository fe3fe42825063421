"""Errors across and along a contour: by hand, and in the very directions the loss uses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.evaluation.metrics.direction import (
    bias_rate,
    curve_tangents,
    normal_and_tangent,
)
from pipeline.evaluation.metrics.nme import point_errors
from pipeline.losses.adl import ADL
from pipeline.markup import Curve, Markup, load_markup, packaged_names

# A contour with a right-angled bend, and a landmark on no contour.
BEND = Markup("bend", 5, (Curve("bend", (0, 1, 2, 3)),), ())
POINTS = np.array([[[0, 0], [10, 0], [10, 10], [10, 20], [50, 50]]], dtype=np.float64)
SEEN = np.ones((1, 5), dtype=bool)
HALF = math.sqrt(0.5)


def test_tangents_by_hand():
    tangents = curve_tangents(POINTS, SEEN, BEND)[0]
    # One-sided at the ends, the chord of both neighbours between, none off the curve.
    assert tangents[:4] == pytest.approx(np.array([[1, 0], [HALF, HALF], [0, 1], [0, 1]]))
    assert np.isnan(tangents[4]).all()


def test_errors_by_hand():
    error = np.array([[[3, 4], [1, 1], [2, -5], [-7, 0], [9, 9]]], dtype=np.float64)
    across, along = normal_and_tangent(POINTS + error, POINTS, SEEN, BEND)
    assert across[0, :4] == pytest.approx([4, 0, 2, 7])
    assert along[0, :4] == pytest.approx([3, math.sqrt(2), 5, 0])
    assert np.isnan([across[0, 4], along[0, 4]]).all()
    # The two parts make up the whole.
    whole = point_errors(POINTS + error, POINTS, SEEN)
    assert np.hypot(across, along)[0, :4] == pytest.approx(whole[0, :4])


def test_a_masked_neighbour_is_passed_over_and_a_masked_landmark_does_not_count():
    target, mask = POINTS.copy(), SEEN.copy()
    target[0, 2], mask[0, 2] = np.nan, False
    tangents = curve_tangents(target, mask, BEND)[0]
    assert tangents[1] == pytest.approx([1, 0])  # from landmark 0 to itself
    assert np.isnan(tangents[[2, 3]]).all()  # unknown; without a known neighbour
    across, along = normal_and_tangent(target + 1.0, target, mask, BEND)
    assert np.isnan(across[0]).tolist() == np.isnan(along[0]).tolist() == [False, False, True, True, True]


def test_neighbours_that_are_one_point_give_no_direction():
    ring = Markup("ring", 3, (Curve("ring", (0, 1, 2), closed=True),), ())
    target = np.array([[[0.0, 0.0], [5.0, 5.0], [5.0, 5.0]]])
    across, _ = normal_and_tangent(target + 1, target, np.ones((1, 3), dtype=bool), ring)
    assert np.isnan(across[0]).tolist() == [True, False, False]


def test_a_prediction_that_is_not_finite_is_an_infinite_error():
    predicted = POINTS.copy()
    predicted[0, 1] = np.nan
    predicted[0, 4] = np.inf
    across, along = normal_and_tangent(predicted, POINTS, SEEN, BEND)
    assert across[0, :4].tolist() == along[0, :4].tolist() == [0, math.inf, 0, 0]
    assert np.isnan(across[0, 4])


@pytest.mark.parametrize("name", packaged_names())
def test_directions_are_those_of_the_loss(name):
    markup = load_markup(name)
    k, rng = markup.num_landmarks, np.random.default_rng(0)
    target, mask = rng.normal(100, 30, (6, k, 2)), rng.random((6, k)) < 0.8
    normals = ADL.from_markup(markup).normals(torch.from_numpy(target), torch.from_numpy(mask)).numpy()
    error = rng.normal(0, 3, target.shape)
    across, along = normal_and_tangent(target + error, target, mask, markup)
    directed = (normals != 0).any(axis=-1) & mask
    assert np.array_equal(~np.isnan(across), directed)
    assert across[directed] == pytest.approx(np.abs((error * normals).sum(-1))[directed])
    assert np.hypot(across, along)[directed] == pytest.approx(np.linalg.norm(error, axis=-1)[directed])


def test_bias_rate_of_the_papers_table():
    assert 100 * bias_rate(1.91, 2.55) == pytest.approx(33.51, abs=0.005)
    assert 100 * bias_rate(1.54, 2.28) == pytest.approx(48.05, abs=0.005)
    assert bias_rate(2.0, 1.0) == -0.5
    assert all(math.isnan(bias_rate(*pair)) for pair in ((0.0, 1.0), (math.nan, 1.0), (1.0, math.inf)))


def test_another_markup_is_refused():
    with pytest.raises(ValueError, match="5 landmarks, but markup 'ibug68' has 68"):
        curve_tangents(POINTS, SEEN, load_markup("ibug68"))
