"""When rounds end, and which is handed on."""

import pytest

from pipeline.studies.selftrain import RoundOutcome, best_round, goes_on
from pipeline.studies.selftrain.report import rows


def rounds(*errors: float) -> list[RoundOutcome]:
    return [
        RoundOutcome(i, nme, nme + 1 if i else None, 90 if i else None, i > 1, 100, 60.0, f"r{i}")
        for i, nme in enumerate(errors)
    ]


@pytest.mark.parametrize(
    ("errors", "most", "min_gain", "expected"),
    [
        ((8.0,), 1, 0.5, True),  # round 0 is always followed by one
        ((8.0, 7.0), 1, 0.5, False),  # no more are wanted
        ((8.0, 7.0), 2, 12.5, True),  # exactly 12.5 % less
        ((8.0, 7.01), 2, 12.5, False),
        ((8.0, 7.0, 7.1), 5, 0.0, False),
        ((8.0, 8.5, 7.9), 5, 2.0, False),  # less than the best before, 8.0, by 1.25 % only
        ((8.0, 8.0), 5, 0.0, True),
    ],
)
def test_rounds_go_on_while_they_gain(errors, most, min_gain, expected):
    assert goes_on(rounds(*errors), most, min_gain) is expected


def test_the_lowest_held_out_error_is_handed_on():
    assert best_round(rounds(8.0, 7.0, 7.0, 7.5)).number == 1


def test_the_table_says_what_each_round_gained():
    best, cells = rows(rounds(8.0, 7.0, 6.0))[2]
    assert best
    assert cells == ["2", "90", "7.000", "6.000", "+25.0", "yes", "100", "1.0"]
    assert rows(rounds(8.0, 9.0))[1][1][4] == "-12.5"
