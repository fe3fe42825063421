"""The room: what the largest label budget would take off, and the share of it that a gain closes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.cells import Group, Study
from pipeline.studies.scaling.gain import Comparison, FaceView
from pipeline.studies.scaling.room import room

G = Group(100, "a", 8)
CURVE = {G: 10.0, Group(400, "a", 8): 5.0, Group(1600, "a", 8): 2.0, Group(3200, "b", 8): 1.0}


def comparison(error, interval=None):
    view = FaceView(50.0, 0.0, None)
    rest = (None, None, 0.0, None, None, None, view, 1.0, "not shown")
    return Comparison(G, 5000, (0, 1), 10.0, error, (), 10 - error, 0.0, interval, *rest)


def test_by_hand():
    found = room(comparison(6.0, (2.0, 6.0)), CURVE)
    assert (found.labelled, found.error, found.points) == (1600, 2.0, 8.0)
    assert found.closed == pytest.approx(50)
    assert found.interval == pytest.approx((25, 75))
    assert room(comparison(11.0), CURVE).closed == pytest.approx(-12.5)
    assert room(comparison(1.0), CURVE).closed == pytest.approx(112.5)
    assert room(comparison(6.0), CURVE).interval is None


def test_there_is_none_without_a_larger_budget_or_a_lower_error():
    assert room(comparison(6.0), {G: 10.0, Group(50, "a", 8): 12.0}) is None
    assert room(comparison(6.0), {G: 10.0, Group(400, "a", 8): 10.0}) is None
    assert room(replace(comparison(6.0), group=Group(3200, "b", 8)), CURVE) is None


def test_a_budget_of_labels_alone_gives_the_others_their_room_and_no_answer_of_its_own(study):
    full = study(lambda c: {157: 11.2, 1808: 6.4}[c.labelled] - (2.4 if c.unlabelled else 0))
    cells = tuple(r for r in full.results if r.cell.labelled == 157 or not r.cell.unlabelled)
    made = analyse(Study(cells, full.protocol, full.markup))
    (few,) = made.answer.groups
    assert few.group.labelled == 157
    found = [r for r in made.rooms if r.unlabelled == 25_531]
    (one,) = found
    supervised = {x.group.labelled: x.mean for x in made.levels if not x.unlabelled}
    gain = next(c.gain for c in made.comparisons if c.unlabelled == 25_531)
    assert one.closed == pytest.approx(100 * gain / (supervised[157] - supervised[1808]))
    assert f"The room was {one.points:.2f} points, to {one.error:.2f} % with 1,808 labelled faces" in few.text
    assert f": {one.closed:.0f} %, 95 % CI" in few.text
    assert "1,808" not in made.answer.headline
