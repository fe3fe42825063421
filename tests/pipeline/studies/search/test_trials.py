"""The record survives the disk, and nothing inconsistent is read."""

from __future__ import annotations

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import DataError
from pipeline.studies.search.trials import Search, Trial, read_search, write_csv, write_search
from pipeline.training.config.tune import ParameterConfig

VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


def one(**change):
    return Trial(
        **({"number": 0, "name": "t-0", "values": {"a": 1}, "state": "finished", "objective": 5.0} | change)
    )


def search(*trials, **change):
    space = {"a": ParameterConfig(type="int", low=0, high=9)}
    return Search(
        **({"name": "s", "space": space, "default": {"a": 1}, "trials": trials, "planned": 4} | change)
    )


@pytest.mark.parametrize("options", [{}, {"failed": (3, 7)}, {"seeds": 3, "prune": False}])
def test_json_and_back_is_the_same(tmp_path, search_of, options):
    made = search_of(20, **options)
    write_search(made, str(tmp_path / "a" / "search.json"))
    assert read_search(str(tmp_path / "a" / "search.json")) == made


@given(st.lists(VALUE, min_size=1, max_size=5))
def test_values_keep_value_and_type(values):
    space = {f"k.{i}": ParameterConfig(type="choice", values=(v,)) for i, v in enumerate(values)}
    named = {f"k.{i}": v for i, v in enumerate(values)}
    made = search(one(values=named), space=space, default=named)
    back = Search.model_validate_json(made.model_dump_json())
    for read in (back.trials[0].values, back.default, {k: p.values[0] for k, p in back.space.items()}):
        assert [(type(v), v) for v in read.values()] == [(type(v), v) for v in values]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": None}, "no objective"),
        ({"objective": float("nan")}, "finite"),
        ({"objective": -1.0}, "greater than or equal"),
        ({"per_seed": (4.0, 5.0)}, "not the mean"),
        ({"state": "failed", "objective": None}, "no reason"),
        ({"state": "won"}, "finished"),
        ({"curve": ((10, 5.0), (10, 4.0))}, "ascend"),
        ({"surprise": 1}, "Extra"),
    ],
)
def test_inconsistent_trials_fail(change, message):
    with pytest.raises(ValidationError, match=message):
        one(**change)


def test_keys_and_numbers_are_consistent():
    with pytest.raises(ValidationError, match="trial 0 and the space do not have the same keys: a, b"):
        search(one(values={"b": 1}))
    with pytest.raises(ValidationError, match="default and the space"):
        search(one(), default={})
    with pytest.raises(ValidationError, match="same number"):
        search(one(), one())


def test_what_is_no_search_is_named(tmp_path):
    path = tmp_path / "search.json"
    with pytest.raises(DataError, match="no such search"):
        read_search(str(path))
    for text, message in (("{", "not JSON"), ("[]", "'format'"), ('{"format": "other"}', "'format'")):
        path.write_text(text)
        with pytest.raises(DataError, match=message) as caught:
            read_search(str(path))
        assert str(path) in str(caught.value)
    raw = json.loads(search(one()).model_dump_json())
    path.write_text(json.dumps(raw | {"version": 9}))
    with pytest.raises(DataError, match="version' is 9"):
        read_search(str(path))
    raw["trials"][0]["objective"] = "low"
    path.write_text(json.dumps(raw))
    with pytest.raises(DataError, match=r"trials\.0\.objective"):
        read_search(str(path))


def test_a_refused_write_leaves_the_old_record(tmp_path, monkeypatch, search_of):
    path = tmp_path / "search.json"
    write_search(search_of(3), str(path))
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Exception, match="disk is full"):
        write_search(search_of(6), str(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_csv_has_a_row_per_trial_and_says_null(tmp_path, search_of):
    made = search_of(12, failed=(3,), seeds=2)
    write_csv(made, str(tmp_path / "t.csv"))
    rows = list(csv.DictReader((tmp_path / "t.csv").open(newline="", encoding="utf-8")))
    assert [int(r["number"]) for r in rows] == list(range(12))
    for row, trial in zip(rows, made.trials, strict=True):
        assert row["state"] == trial.state
        assert row["objective_nme_percent"] == ("" if trial.objective is None else repr(trial.objective))
        assert float(row["optimizer.lr"]) == trial.values["optimizer.lr"]
        assert (row["model.dropout"] == "null") == (trial.values["model.dropout"] is None)
        assert (row["nme_percent_seed_1"] != "") == (trial.state == "finished")
    assert "\n" in rows[3]["reason"]


def test_reading_a_curve_at_a_step():
    trial = one(curve=((10, 9.0), (20, 7.0), (40, 5.0)))
    assert [trial.at(s) for s in (5, 10, 19, 20, 40, 41)] == [None, 9.0, 9.0, 7.0, 5.0, None]
    assert one().at(1) is None
