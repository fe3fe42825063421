"""Charts: they draw what was measured, in every size of study."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.plots.canvas import render
from pipeline.evaluation.plots.palette import DARK
from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.plots import gain_figure, labelled_figure, short, unlabelled_figure


def helped(cell):
    return {157: 11.0, 1808: 6.0}[cell.labelled] - (1.5 if cell.unlabelled else 0)


@pytest.mark.parametrize(
    "size",
    [
        {},
        {"seeds": 1},
        {"seeds": 2, "labelled": (157,), "unlabelled": (0, 5000)},
        {"methods": ("$a_b$", "_hidden", "c"), "widths": (8, 16, 32, 64)},
        {"unlabelled": (0,)},
        {"unlabelled": (5000,)},
    ],
)
def test_all_sizes_render_in_both_themes(study, size):
    analysis = analyse(study(helped, **size))
    labelled = analysis.study.groups[0].labelled
    figures = [unlabelled_figure(analysis, labelled), labelled_figure(analysis, theme=DARK)]
    figures += [gain_figure(analysis, series, theme=DARK) for series in analysis.series]
    for figure in figures:
        assert render(figure).startswith(b"<?xml")


def test_lines_pass_the_means_and_the_axis_names_the_numbers(study):
    analysis = analyse(study(helped))
    (axis,) = unlabelled_figure(analysis, 157).axes
    levels = [x for x in analysis.levels if x.group.labelled == 157]
    np.testing.assert_allclose(axis.lines[0].get_xdata(), [0, 5000, 25_531])
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [x.mean for x in levels])
    assert [t.get_text() for t in axis.get_xticklabels()] in (
        ["0", "5,000", "25.5k"],
        ["25.5k", "5,000", "0"],
    )


def test_noise_is_not_blown_up_to_fill_the_axis(study):
    analysis = analyse(study(lambda c: 6.0, noise=1e-4))
    low, high = unlabelled_figure(analysis, 157).axes[0].get_ylim()
    assert high - low > 0.45


def test_filled_where_shown_hollow_where_not(study):
    analysis = analyse(study(lambda c: helped(c) if c.labelled == 157 else 6.0))
    (axis,) = gain_figure(analysis, analysis.series[0]).axes
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    filled = [dot.get_markerfacecolor() != "#ffffff" for dot in dots]
    assert filled == [c.verdict == "gain" for c in analysis.comparisons]
    assert filled == [True, True, False, False]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (2500, "2,500"), (25_531, "25.5k"), (999_499, "999k"), (70_000, "70k"), (2_000_000, "2M")],
)
def test_short_numbers(count, text):
    assert short(count) == text
