"""Colours that can be told apart, and stay with their run."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.colors import to_rgb

from pipeline.evaluation.plots.palette import DARK, LIGHT, PREDICTION, TRUTH


def luminance(rgb):
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_text_and_first_lines_stand_out_from_the_background(theme):
    background = to_rgb(theme.background)
    assert contrast(to_rgb(theme.ink), background) > 7  # WCAG AAA for text
    for colour in theme.runs[:3]:
        assert contrast(to_rgb(colour), background) > 3  # WCAG for graphics


def test_runs_differ_and_styles_continue_where_colours_end():
    for theme in (LIGHT, DARK):
        looks = [theme.run(i) for i in range(4 * len(theme.runs))]
        assert len(set(looks)) == len(looks)
    assert len(LIGHT.runs) == len(DARK.runs)


def test_prediction_and_truth_differ_for_a_red_green_blind_reader():
    # Viénot, Brettel and Mollon 1999: what a protanope sees of red and green is one mixture; blue stays.
    def protan(rgb):
        r, g, b = (v / 255 for v in rgb)
        return 0.11 * r + 0.89 * g, b

    seen = [protan(c) for c in (PREDICTION, TRUTH)]
    assert abs(seen[0][1] - seen[1][1]) > 0.5


def test_a_run_keeps_its_colour_in_a_chart_of_some_runs():
    some = LIGHT.only([2, 5])
    assert [some.run(0), some.run(1)] == [LIGHT.run(2), LIGHT.run(5)]
    assert all(a != b for a, b in itertools.combinations([LIGHT.run(i) for i in range(7)], 2))
