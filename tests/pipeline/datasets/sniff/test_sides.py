"""Pairs by name: found where they are beyond doubt, else none."""

from __future__ import annotations

import pytest

from pipeline.datasets.sniff.sides import pairs_by_name


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["left_ear", "nose", "right_ear"], ((0, 2),)),
        (["RightEar", "LeftEar", "tail"], ((0, 1),)),
        (["earL", "earR", "L eye", "R eye"], ((0, 1), (2, 3))),
        (["eye.left.1", "eye.left.2", "eye.right.2", "eye.right.1"], ((0, 3), (1, 2))),
        (
            ["l_hip", "r_hip", "bright_spot", "cleft", "collar"],
            ((0, 1),),
        ),  # letters within words are no sides
    ],
)
def test_pairs(names, expected):
    assert pairs_by_name(names) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["nose", "chin"],  # nothing says
        ["left_ear", "nose"],  # no partner
        ["left_ear", "right_ear", "left_eye"],
        ["left_ear", "LeftEar", "right_ear"],  # two of a kind
        ["left_eye_left_corner", "left_eye_right_corner", "right_eye_left_corner", "right_eye_right_corner"],
        ["0", "1", "2"],
    ],
)
def test_no_pairs_where_there_is_doubt(names):
    assert pairs_by_name(names) is None
