"""A space that cannot be searched fails when it is read, and what it holds is what Optuna takes."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.studies.search.optuna_study import distribution
from pipeline.training.config.compose import validate
from pipeline.training.config.tune import ParameterConfig, TuneConfig

FINITE = st.floats(-1e6, 1e6)
WHOLE = st.integers(-1000, 1000)


def refused(**raw):
    with pytest.raises(ConfigError) as caught:
        validate({"space": {"a.b": raw}}, TuneConfig, "x.yaml")
    assert str(caught.value).startswith("x.yaml: ")
    assert "key 'space.a.b" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"type": "float", "low": 1}, "has low ≤ high"),
        ({"type": "float", "low": 2, "high": 1}, "has low ≤ high"),
        ({"type": "float", "low": 0, "high": 1, "values": [1]}, "no values"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, "log needs low > 0"),
        ({"type": "float", "low": 1, "high": 2, "log": True, "step": 0.5}, "no step"),
        ({"type": "float", "low": 0, "high": 1, "step": 0}, "greater than 0"),
        ({"type": "float", "low": 0, "high": 1, "step": 0.3}, "the last one is 0.9"),
        ({"type": "float", "low": math.nan, "high": 1}, "finite"),
        ({"type": "float", "low": 0, "high": math.inf}, "finite"),
        ({"type": "int", "low": 0, "high": math.inf}, "finite"),
        ({"type": "int", "low": 0.5, "high": 2}, "whole"),
        ({"type": "int", "low": 0, "high": 2, "step": 0.5}, "whole"),
        ({"type": "int", "low": 4, "high": 64, "step": 8}, "the last one is 60"),
        ({"type": "choice"}, "has 'values'"),
        ({"type": "choice", "values": [1], "low": 0}, "neither low nor high"),
        ({"type": "choice", "values": ["a"], "log": True}, "neither log nor step"),
        ({"type": "choice", "values": ["a"], "step": 1}, "neither log nor step"),
        ({"type": "choice", "values": ["a", "b", "a"]}, "'a' twice"),
        ({"type": "choice", "values": [1, True]}, "True twice"),
        ({"type": "choice", "values": [math.nan]}, "finite"),
        ({"type": "choice", "values": [[1, 2]]}, "valid"),
        ({"type": "real", "low": 0, "high": 1}, "'float', 'int' or 'choice'"),
        ({"type": "float", "low": 0, "hihg": 1}, "unknown key 'space.a.b.hihg'"),
    ],
)
def test_what_cannot_be_searched_is_refused(raw, message):
    assert message in refused(**raw)


@pytest.mark.parametrize(
    "change",
    [
        {"space": {}},
        {"trials": 0},
        {"seeds": 0},
        {"grace": 0},
        {"grace": 1.1},
        {"reduction": 1},
        {"concurrent": 0},
    ],
)
def test_a_search_of_nothing_is_refused(change):
    raw = {"space": {"a": {"type": "int", "low": 1, "high": 2}}}
    assert validate(raw, TuneConfig, "x").trials == 20
    with pytest.raises(ConfigError):
        validate(raw | change, TuneConfig, "x")


@given(FINITE, FINITE, st.floats(0, 1))
def test_a_float_holds_what_lies_between(a, b, share):
    low, high = sorted((a, b))
    parameter = ParameterConfig(type="float", low=low, high=high)
    assert parameter.holds(low)
    assert parameter.holds(high)
    assert parameter.holds(min(max(low + share * (high - low), low), high))
    assert not parameter.holds(math.nextafter(low, -math.inf))
    assert not parameter.holds(math.nextafter(high, math.inf))


@given(WHOLE, st.integers(1, 50), st.integers(0, 40), st.integers(-2, 45), st.booleans())
def test_steps_are_held_and_nothing_between(low, step, count, index, tenths):
    # Tenths are no binary fractions: 0.1 · 3 must count as 0.3.
    scale = 10 if tenths else 1
    kind = "float" if tenths else "int"
    parameter = ParameterConfig(
        type=kind, low=low / scale, high=(low + step * count) / scale, step=step / scale
    )
    assert parameter.holds((low + step * index) / scale) == (0 <= index <= count)
    assert not parameter.holds((low + step * index) / scale + 0.37 * step / scale)


@pytest.mark.parametrize("value", [None, "1", True, math.nan, math.inf, [1], {"a": 1}])
@pytest.mark.parametrize("kind", ["int", "float"])
def test_numbers_hold_only_numbers(kind, value):
    assert not ParameterConfig(type=kind, low=0, high=9).holds(value)


def test_an_int_holds_whole_numbers_only():
    parameter = ParameterConfig(type="int", low=1, high=8)
    assert parameter.holds(8.0)
    assert not parameter.holds(7.5)


def test_choices_hold_by_value():
    parameter = ParameterConfig(type="choice", values=(200, None, "a", True))
    for held in (200, 200.0, None, "a", True):
        assert parameter.holds(held)
    for other in (1, 1.0, False, 0, "b", "200", math.nan, [200]):
        assert not parameter.holds(other)


VALUES = st.one_of(
    FINITE,
    WHOLE,
    st.sampled_from([0.1 * i for i in range(50)]),
    st.none(),
    st.text(max_size=2),
    st.booleans(),
)
PARAMETERS = st.one_of(
    st.tuples(FINITE, FINITE).map(lambda p: ParameterConfig(type="float", low=min(p), high=max(p))),
    st.tuples(WHOLE, st.integers(1, 9), st.integers(0, 9)).map(
        lambda p: ParameterConfig(type="int", low=p[0], high=p[0] + p[1] * p[2], step=p[1])
    ),
    st.integers(1, 30).map(lambda n: ParameterConfig(type="float", low=0, high=n / 10, step=0.1)),
    st.tuples(st.integers(1, 1000), st.integers(0, 1000)).map(
        lambda p: ParameterConfig(type="int", low=p[0], high=p[0] + p[1], log=True)
    ),
)


@given(PARAMETERS, VALUES)
def test_what_is_held_optuna_takes_and_its_bounds_stay(parameter, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "the range is not divisible by step, and is replaced"
        form = distribution(parameter)
    assert (form.low, form.high) == (parameter.low, parameter.high)
    if isinstance(value, int | float) and parameter.holds(value):
        given_ = int(value) if parameter.type == "int" else float(value)
        assert form._contains(form.to_internal_repr(given_))
