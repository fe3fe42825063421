"""Values stand where they belong, and are written as people type them."""

from __future__ import annotations

import itertools
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.studies.search.scales import duration, scale_of, short_names, show, wrapped
from pipeline.training.config.tune import ParameterConfig

POSITIVE = st.floats(1e-8, 1e8)
WORD = st.text("abcxyz_", min_size=1, max_size=6)
KEYS = st.lists(st.lists(WORD, min_size=1, max_size=4).map(".".join), min_size=1, max_size=8, unique=True)


@given(POSITIVE, POSITIVE, st.floats(0, 1), st.booleans(), st.integers(2, 10))
def test_ticks_are_where_their_labels_say(a, b, share, log, most):
    low, high = sorted((a, b))
    scale = scale_of(ParameterConfig(type="float", low=low, high=high, log=log), [])
    ticks = scale.ticks(most)
    places = [p for p, _ in ticks]
    assert places == sorted(places)
    assert all(-1e-9 <= p <= 1 + 1e-9 for p in places)
    assert len(ticks) <= most + 3
    if low < high:
        assert (places[0], places[-1]) == pytest.approx((0, 1))
        assert all(y - x >= 0.8 / most - 1e-9 for x, y in itertools.pairwise(places))
        value = low * (high / low) ** share if log else low + (high - low) * share
        assert scale.position(value) == pytest.approx(share, abs=1e-6)
        for place, text in ticks:
            number = low * (high / low) ** place if log else low + (high - low) * place
            assert float(text) == pytest.approx(number, rel=0.006)  # three digits


def test_log_axes_are_even_in_orders_of_magnitude():
    scale = scale_of(ParameterConfig(type="float", low=1e-5, high=1e-1, log=True), [])
    assert [t for _, t in scale.ticks()] == ["1e-05", "0.0001", "0.001", "0.01", "0.1"]
    assert scale.position(1e-3) == pytest.approx(0.5)


def test_whole_numbers_and_categories():
    whole = scale_of(ParameterConfig(type="int", low=1, high=4), [])
    assert [t for _, t in whole.ticks()] == ["1", "2", "3", "4"]
    assert whole.few
    assert not scale_of(ParameterConfig(type="int", low=4, high=64), []).few
    choice = scale_of(ParameterConfig(type="choice", values=("b", None, True, 2)), [])
    assert [text for _, text in choice.ticks()] == ["b", "null", "true", "2"]
    assert [place for place, _ in choice.ticks()] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for other in ("c", 1):  # true is not 1
        with pytest.raises(ValueError, match="none of"):
            choice.position(other)


def test_axes_hold_values_of_a_space_since_changed():
    narrow = ParameterConfig(type="float", low=1e-3, high=1e-2, log=True)
    scale = scale_of(narrow, [1e-4, 5e-3])
    assert (scale.low, scale.high, scale.position(1e-4)) == (1e-4, 1e-2, 0)
    assert not scale_of(narrow, [0.0]).log  # no logarithm of 0
    assert scale_of(ParameterConfig(type="choice", values=("a",)), ["b"]).categories == ("a", "b")
    assert scale_of(narrow, ["auto", 1e-3]).categories == ("auto", 1e-3)
    assert scale_of(ParameterConfig(type="float", low=2, high=2), []).position(2.0) == 0.5


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


@given(st.lists(WORD, min_size=1, max_size=5).map(".".join), st.integers(4, 20))
def test_wrapping_keeps_the_key(key, width):
    lines = wrapped(key, width).split("\n")
    assert "".join(lines) == key
    assert all(line.endswith(".") for line in lines[:-1])
    assert all(len(line) <= max(width, max(map(len, key.split("."))) + 1) for line in lines)


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
        "1 h 00 min" if math.floor(3599 / 60 + 0.5) == 60 else "60 min",
        "3 h 20 min",
        "24 h 00 min",
    ]
