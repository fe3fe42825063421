"""Measured differences of markups are read strictly and come back from JSON as they went."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import ConfigError
from pipeline.markup import load_markup, markup_from
from pipeline.markup_difference import difference_from

MARKUP = {
    "name": "eyes", "num_landmarks": 3, "flip_pairs": [], "ocular": [0, 1], "mappings": {"two": [2, None]},
    "differences": {"two": {"floor": 2, "measured": "by hand", "offsets": {0: [0.1, 0]}}},
}  # fmt: skip


def test_through_json_and_back():
    for markup in (markup_from(MARKUP, "x"), load_markup("ibug68")):
        assert markup_from(json.loads(json.dumps(markup.definition)), "x") == markup
    assert "differences" not in load_markup("wflw98").definition


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floor": "much"}, "'floor': 'much' is no number"),
        ({"offsets": {"a": [0, 0]}}, "'a' is no landmark number"),
        ({"offsets": {0: [0.1]}}, r"\[0.1\] is no pair \[along, down\]"),
        ({"offsets": {0: [0.1, float("nan")]}}, "nan is no number"),
        ({"offsets": [0.1]}, "'offsets' is no mapping"),
        ({"ofsets": {}}, "has the fields floor, measured and"),
    ],
)
def test_what_is_malformed_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        difference_from(MARKUP["differences"]["two"] | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ocular": None}, "offsets are in shares of 'ocular', which is not given"),
        ({"mappings": {}}, "'differences.two': there is no mapping to 'two'"),
        ({"mappings": {"two": [None, 2]}}, "landmark 0 of 'two' has no sources to be off"),
    ],
)
def test_a_difference_belongs_to_a_mapping(change, message):
    with pytest.raises(ConfigError, match=message):
        markup_from(MARKUP | change, "x")
