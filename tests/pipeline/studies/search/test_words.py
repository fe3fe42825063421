"""Values, keys and durations are written as people type them."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.studies.search.words import duration, short_names, show

WORD = st.text("abcxyz_", min_size=1, max_size=6)
KEYS = st.lists(st.lists(WORD, min_size=1, max_size=4).map(".".join), min_size=1, max_size=8, unique=True)


@given(KEYS)
def test_short_names_are_endings_and_unique(keys):
    short = short_names(keys)
    assert list(short) == keys
    assert len(set(short.values())) == len(keys)
    assert all(key == name or key.endswith(f".{name}") for key, name in short.items())


def test_short_names():
    assert short_names(
        ["optimizer.lr", "unlabelled.optimizer.lr", "unlabelled.objective.name", "model.name"]
    ) == {
        "optimizer.lr": "optimizer.lr",
        "unlabelled.optimizer.lr": "unlabelled.optimizer.lr",
        "unlabelled.objective.name": "objective.name",
        "model.name": "model.name",
    }
    assert short_names(["optimizer.lr", "model.width"]) == {"optimizer.lr": "lr", "model.width": "width"}


@given(st.none() | st.booleans() | st.integers(-9999, 9999))
def test_values_are_written_as_yaml(value):
    assert yaml.safe_load(show(value)) == value


def test_floats_and_durations():
    assert [show(v) for v in (0.00123456, 1e-5, 0.2, 3.0)] == ["0.001235", "1e-05", "0.2", "3"]
    assert show(0.00123456, 2) == "0.0012"
    assert [duration(s) for s in (0, 59.4, 60, 3599, 12_000, 86_400)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 00 min",
        "3 h 20 min",
        "24 h 00 min",
    ]
