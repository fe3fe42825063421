"""A grid is complete, has no cell twice, and says what it cannot do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.training.config.compose import validate
from pipeline.training.config.scale import MethodConfig, ScaleConfig

RAW = {"unlabelled": [0, 1000], "labelled": [100]}
COUNTS = st.lists(st.integers(0, 10**6), max_size=8)
POSITIVE = st.lists(st.integers(1, 10**6), min_size=1, max_size=6, unique=True)


@given(COUNTS)
def test_the_supervised_column_is_always_there_and_counts_ascend(counts):
    raw = RAW | {"unlabelled": counts}
    if any(counts):
        found = validate(raw, ScaleConfig, "x").unlabelled
        assert found[0] == 0
        assert list(found) == sorted(set(counts) | {0})
    else:
        with pytest.raises(ConfigError, match="nothing to compare with"):
            validate(raw, ScaleConfig, "x")


@given(POSITIVE, POSITIVE, st.lists(st.integers(0, 99), min_size=1, max_size=6, unique=True))
def test_values_that_are_given_once_are_kept(labelled, widths, seeds):
    found = validate(RAW | {"labelled": labelled, "widths": widths, "seeds": seeds}, ScaleConfig, "x")
    assert (list(found.labelled), list(found.widths), list(found.seeds)) == (labelled, widths, seeds)
    assert validate(found.model_dump(mode="json"), ScaleConfig, "x") == found


@pytest.mark.parametrize("key", ["labelled", "supervised_labelled", "widths", "seeds"])
@given(values=st.lists(st.integers(1, 99), min_size=1, max_size=4), again=st.integers(0, 3))
def test_a_value_given_twice_is_refused(key, values, again):
    twice = [*values, values[again % len(values)]]
    with pytest.raises(ConfigError, match=f"key '{key}'.*each once"):
        validate(RAW | {key: twice}, ScaleConfig, "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labelled": []}, "at least one value"),
        ({"labelled": [0]}, "at least 1"),
        ({"labelled": [-1, 5]}, "at least 1"),
        ({"supervised_labelled": [0]}, "at least 1"),
        ({"supervised_labelled": [50, 100]}, "scale.supervised_labelled = 100 is in scale.labelled"),
        ({"widths": [0]}, "at least 1"),
        ({"widths": []}, "at least one value"),
        ({"unlabelled": [-1]}, "'unlabelled.0'"),
        ({"unlabelled": [1.5]}, "'unlabelled.0'"),
        ({"seeds": [-1]}, "'seeds.0'"),
        ({"seeds": []}, "at least 1 item"),
        ({"methods": {}}, "at least 1 item"),
        ({"methods": {"a": {"sets": {}}}}, "unknown key 'methods.a.sets'"),
        ({"concurrent": 0}, "'concurrent'"),
    ],
)
def test_what_cannot_be_run_is_refused(change, message):
    with pytest.raises(ConfigError) as caught:
        validate(RAW | change, ScaleConfig, "x.yaml")
    assert str(caught.value).startswith("x.yaml: ")
    assert message in str(caught.value)


def test_defaults_change_nothing_of_the_config():
    found = validate(RAW, ScaleConfig, "x")
    assert found.widths is None
    assert found.seeds == (0,)
    assert list(found.methods.values()) == [MethodConfig()]
    assert MethodConfig() == MethodConfig(set={}, supervised={}, semi_supervised={})


def test_methods_keep_any_value_and_their_order():
    changes = {"loss.name": "laplace_kl", "model.dropout": 0.2, "loss.weights": [1, 2], "ema": None}
    found = validate(
        RAW | {"methods": {"b": {"set": changes}, "a": {"supervised": changes}}}, ScaleConfig, "x"
    )
    assert list(found.methods) == ["b", "a"]
    assert found.methods["b"].set == found.methods["a"].supervised == changes
    assert found.methods["b"].semi_supervised == {}
