"""Ellipses on the mean face and bars by contour show the numbers they are given."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.evaluation.plots.canvas import render
from pipeline.evaluation.plots.direction import direction_bars, direction_figure, magnification
from pipeline.evaluation.plots.palette import DARK, LIGHT

SHAPE = np.array([[-0.5, -0.3], [-0.2, -0.3], [0.2, -0.3], [0.5, -0.3], [0, 0.1], [0, 0.5]])
MOMENTS = np.tile(np.diag([4e-4, 1e-4]), (6, 1, 1))
BARS = {"a": {"jaw": (1.0, 2.0), "left_eye": (None, None)}, "_b $x$": {"jaw": (1.5, 1.25)}}


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_images_have_content_and_are_the_same_every_time(tiny, theme):
    moments = {"a": MOMENTS, "b": 2 * MOMENTS}
    for draw in (
        lambda: direction_figure(SHAPE, moments, {"a": 33.5, "b": None}, tiny, theme=theme),
        lambda: direction_bars(BARS, theme=theme),
    ):
        image = Image.open(io.BytesIO(render(draw(), "png", dpi=50)))
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 10
        assert render(draw()) == render(draw())


def test_ellipses_have_their_size_on_the_face(tiny):
    moments = MOMENTS.copy()
    moments[4] = np.nan  # a landmark never seen
    figure = direction_figure(SHAPE, {"a": moments}, {"a": 33.5}, tiny)
    axis = figure.axes[0]
    outlines = [path.vertices for path in axis.collections[0].get_paths()]
    assert len(outlines) == 5
    # Half axes 0.02 and 0.01: drawn to scale, twice would be 0.04.
    assert np.ptp(outlines[0], axis=0) == pytest.approx([0.04, 0.02], rel=1e-6)
    assert (outlines[0].min(axis=0) + outlines[0].max(axis=0)) / 2 == pytest.approx(SHAPE[0])
    assert axis.get_title(loc="left") == "a\nbias rate 34 %"
    assert axis.get_xlabel().endswith("to scale")


def test_small_errors_are_enlarged_alike_for_all_runs(tiny):
    small = {"a": MOMENTS / 16, "b": MOMENTS / 25}  # half axes 0.005 and 0.004
    assert magnification(small) == 5
    assert magnification({"a": 100 * MOMENTS}) == 1
    assert magnification({"a": np.full((6, 2, 2), np.nan)}) == 10
    for axis in direction_figure(SHAPE, small, {}, tiny).axes:
        assert axis.get_xlabel().endswith("5×")


def test_bars_are_as_long_as_their_numbers():
    axis = direction_bars(BARS).axes[0]
    assert [bar.get_width() for bar in axis.patches] == [2.0, 0.0, 1.0, 0.0, 1.25, 0.0, 1.5, 0.0]
    assert [text.get_text() for text in axis.texts] == ["1.00 | 2.00", "1.50 | 1.25"]
    assert len(axis.get_legend().get_texts()) == 4
