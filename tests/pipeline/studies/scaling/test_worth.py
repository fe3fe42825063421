"""Gains in labelled faces: interpolated, never extrapolated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.studies.scaling.cells import Group
from pipeline.studies.scaling.gain import Comparison, FaceView
from pipeline.studies.scaling.worth import worth

G = Group(100, "a", 8)


def comparison(error, verdict="gain"):
    view = FaceView(50.0, 0.0, None)
    blank = (None, None, None, 0.0, None, None, None, view, 1.0, verdict)
    return Comparison(G, 5000, (0, 1), 10.0, error, (), 10 - error, 0.0, *blank)


CURVE = {G: 10.0, Group(400, "a", 8): 5.0, Group(1600, "a", 8): 2.5, Group(400, "b", 8): 1.0}


def test_on_a_straight_line_in_logarithms():
    # Error halves with four times the labels: 10/√2 lies at twice.
    found = worth(comparison(10 / 2**0.5), CURVE)
    assert found.labelled == pytest.approx(200)
    assert found.more == pytest.approx(100)
    assert found.between == (100, 400)
    assert worth(comparison(5 / 2**0.5), CURVE).labelled == pytest.approx(800)


def test_never_beyond_the_budgets_nor_without_a_shown_gain():
    assert worth(comparison(2.0), CURVE) is None
    assert worth(comparison(7.0, "not shown"), CURVE) is None
    assert worth(comparison(7.0), {G: 10.0}) is None
    assert worth(replace(comparison(7.0), group=G), {G: 10.0, Group(400, "a", 8): 10.5}) is None
