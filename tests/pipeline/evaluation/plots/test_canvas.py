"""Names fit their places, and all text is of one size."""

from __future__ import annotations

import numpy as np
from matplotlib.text import Text

from pipeline.evaluation.plots import ced_figure, curve_figure
from pipeline.evaluation.plots.canvas import TYPE, columns_above, printable, shortened

LONG = [f"semi-supervised-of-a-very-long-name-seed-{seed}" for seed in range(3)]


def test_a_long_name_keeps_both_its_ends():
    assert shortened("short", 5) == "short"
    assert shortened("abcdefghij", 5) == "ab…ij"
    assert shortened("abcdefghij", 6) == "abc…ij"
    assert len({shortened(name) for name in LONG}) == 3
    assert all(len(shortened(name, most)) == most for name in LONG for most in (3, 8, 26))
    assert printable("_hidden") == " _hidden"


def test_a_legend_has_as_many_columns_as_its_names_leave_room_for():
    assert [columns_above(["a"] * n) for n in (1, 2, 3, 9)] == [1, 2, 3, 3]
    assert columns_above(["a", LONG[0], "b"]) == 2


def test_legends_of_long_names_lie_on_the_figure():
    rng = np.random.default_rng(0)
    faces = {name: rng.gamma(4, 0.01, 80) for name in LONG}
    for figure in (ced_figure(faces), curve_figure({name: {"jaw": 3.0, "eye": 1.0} for name in LONG})):
        figure.canvas.draw()
        legend, page = figure.axes[0].get_legend().get_window_extent(), figure.bbox
        assert page.x0 <= legend.x0
        assert legend.x1 <= page.x1
        assert legend.y1 <= page.y1
        assert {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()} == {TYPE}
