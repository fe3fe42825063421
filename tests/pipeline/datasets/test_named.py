"""Landmarks exported by name."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datasets._named import NamedPoints, landmark_numbers
from pipeline.errors import DataError
from pipeline.markup import Markup

NAMED = Markup("named", 3, (), (), names=("left", "right", "tip"))
BARE = Markup("bare", 3, (), ())


def test_names_and_numbers():
    assert landmark_numbers(["tip", "left", "tip"], NAMED, "x") == {"left": 0, "tip": 2}
    assert landmark_numbers(["0", "2"], BARE, "x") == {"0": 0, "2": 2}
    assert landmark_numbers(["1", "3"], BARE, "x") == {"1": 0, "3": 2}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["1", "2"], "numbered 1 to 2, which may count from 0 or from 1; add 'names'"),
        (["0", "3"], "numbered 0 to 3, which may count"),
        (["nose"], "numbered 'nose', not numbers, which may count"),
    ],
)
def test_numbers_that_may_count_from_either(labels, message):
    with pytest.raises(DataError, match=f"e.xml: landmarks are {message}"):
        landmark_numbers(labels, BARE, "e.xml")


@pytest.mark.parametrize(
    ("label", "markup", "message"),
    [
        ("nose", NAMED, r"'nose' is none of the names of markup 'named' \(left, right, tip\)"),
        ("left", BARE, "'left' is no landmark's number; markup 'bare' has 3 and no names: add 'names'"),
        ("4", BARE, "'4' is no landmark's number"),
    ],
)
def test_a_label_that_is_no_landmark_is_its_faces_problem(label, markup, message):
    good = ["left"] if markup is NAMED else ["1", "3"]
    numbers = landmark_numbers([*good, label], markup, "e.xml")
    assert numbers.keys() == set(good)
    face = NamedPoints(markup, numbers, "task 1")
    face.add(good[0], 1.0, 2.0, visible=True)
    with pytest.raises(DataError, match=f"task 1: {message}"):
        face.add(label, 1.0, 2.0, visible=True)


def test_a_landmark_not_given_is_unknown_and_one_given_twice_an_error():
    face = NamedPoints(BARE, landmark_numbers("123", BARE, "e.xml"), "task 1")
    assert face.empty
    face.add("2", 3.0, 4.0, visible=False)
    np.testing.assert_array_equal(face.points_K2, [[np.nan] * 2, [3, 4], [np.nan] * 2])
    assert not face.visible_K.any()
    with pytest.raises(DataError, match="task 1: landmark '2' is given twice"):
        face.add("2", 3.0, 4.0, visible=True)
