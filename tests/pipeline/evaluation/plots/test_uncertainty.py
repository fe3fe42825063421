"""Charts of spread and calibration show the numbers they are given."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from pipeline.evaluation.plots.canvas import render
from pipeline.evaluation.plots.palette import DARK, LIGHT
from pipeline.evaluation.plots.uncertainty import binned_means, calibration_figure, spread_figure

RNG = np.random.default_rng(0)


def points(count=500):
    spread = RNG.gamma(3, 0.01, count)
    return spread, np.abs(spread * RNG.normal(size=count))


POINTS = {"base": points(), "_hidden $x$ <b>": points(9000)}


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_images_have_content_and_are_the_same_every_time(theme):
    squared = {name: RNG.chisquare(2, 300) for name in POINTS}
    for draw in (
        lambda: spread_figure(POINTS, theme=theme),
        lambda: calibration_figure(squared, theme=theme),
    ):
        image = Image.open(io.BytesIO(render(draw(), "png", dpi=50)))
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10
        first, second = render(draw()), render(draw())
        assert first == second
        assert len(first) < 400_000  # dots are pixels, however many there are


def test_r_is_in_the_title_and_every_run_on_one_scale():
    axes = spread_figure(POINTS).axes
    assert len(axes) == 2
    for axis, (name, pair) in zip(axes, POINTS.items(), strict=True):
        assert axis.get_title(loc="left") == f"{name}: r = {stats.pearsonr(*pair).statistic:.2f}"
        assert not axis.title.get_parse_math() or not axis.get_title()
    assert axes[0].get_xlim() == axes[1].get_xlim()
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert len(axes[0].collections[0].get_offsets()) == 500
    assert 3000 <= len(axes[1].collections[0].get_offsets()) <= 4000


def test_nan_is_passed_over_and_a_constant_has_no_correlation():
    spread, error = np.array([0.01, 0.01, np.nan]), np.array([0.02, 0.04, 0.1])
    axis = spread_figure({"base": (spread, error)}).axes[0]
    assert axis.get_title(loc="left") == "base: r undefined"
    assert axis.collections[0].get_offsets().tolist() == [[1.0, 2.0], [1.0, 4.0]]
    with pytest.raises(ValueError, match="nothing to draw"):
        spread_figure({"base": (np.full(3, np.nan), np.ones(3))})


def test_bins_hold_equally_many_points():
    spread = np.arange(20.0)[::-1]
    means = binned_means(spread, 2 * spread, bins=4)
    assert means == pytest.approx(np.array([[2, 4], [7, 14], [12, 24], [17, 34]]))
    assert binned_means(spread[:3], spread[:3], bins=10).shape == (3, 2)
    assert binned_means(spread[:0], spread[:0]).shape == (0, 2)


def test_calibration_draws_the_shares():
    squared = np.array([[0.1, 1.0, np.nan], [3.0, 9.0, np.nan]])
    axis = calibration_figure({"_base": squared}).axes[0]
    ideal, line = axis.get_lines()
    assert np.array_equal(*ideal.get_data())
    x, y = line.get_data()
    # χ²₂: 50 % within 1.39, 90 % within 4.61.
    assert (y[x == 50], y[x == 90], y[0], y[-1]) == (50, 75, 0, 100)
    assert "_base" in line.get_label()
    assert "(50 in 50, 75 in 90)" in line.get_label()
    assert len(axis.get_legend().get_texts()) == 2
    with pytest.raises(ValueError, match="no landmark counts"):
        calibration_figure({"a": np.full(4, np.nan)})
