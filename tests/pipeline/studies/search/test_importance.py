"""Importance finds what was put in, and says why where it can't."""

from __future__ import annotations

import optuna
import pytest

from pipeline.studies.search.importance import MIN_TRIALS, common_step, importance


def changed(search, change):
    trials = tuple(t.model_copy(update=change(t)) for t in search.trials)
    return search.model_copy(update={"trials": trials})


def test_the_key_that_decides_comes_first_and_idle_ones_last(search_of):
    found = importance(search_of(60, prune=False))
    assert list(found.shares)[:2] == ["optimizer.lr", "model.width"]
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["unlabelled.weight"] + found.shares["model.dropout"] < 0.05
    assert found.trials == 60
    assert not found.hint_only
    assert importance(search_of(20, prune=False)).hint_only


def test_the_same_search_has_the_same_importance(search_of):
    assert importance(search_of(24, prune=False)) == importance(search_of(24, prune=False))


def test_one_diverged_run_does_not_speak_for_all(search_of):
    made = search_of(40, prune=False)
    spoiled = changed(made, lambda t: {"objective": 80.0, "per_seed": ()} if t.number == 5 else {})
    assert next(iter(importance(spoiled).shares)) == "optimizer.lr"
    assert importance(spoiled).shares["optimizer.lr"] == pytest.approx(
        importance(made).shares["optimizer.lr"], abs=0.2
    )


def test_pruned_trials_count_at_a_step_all_reached(search_of):
    made = search_of(60, failed=(7,))
    step = common_step(made)
    assert step == 400
    at_end, early = importance(made), importance(made, step)
    assert at_end.shares is None  # eight finished
    assert "8 trials finished" in at_end.reason
    assert early.trials == 59
    assert next(iter(early.shares)) == "optimizer.lr"
    assert common_step(search_of(10, prune=False)) is None  # nothing pruned, nothing new


def test_reasons(search_of):
    made = search_of(30, prune=False)
    assert "fewer than" in importance(search_of(MIN_TRIALS - 1, prune=False)).reason
    flat = changed(made, lambda t: {"objective": 5.0, "per_seed": ()})
    assert "same objective" in importance(flat).reason
    outliers = changed(made, lambda t: {"objective": 50.0 if t.number == 3 else 5.0, "per_seed": ()})
    assert "outliers aside" in importance(outliers).reason
    single = changed(made, lambda t: {"values": {**made.default, "optimizer.lr": t.values["optimizer.lr"]}})
    assert "fewer than two keys vary" in importance(single).reason


def test_keys_that_never_varied_are_left_out(search_of):
    made = changed(search_of(30, prune=False), lambda t: {"values": {**t.values, "model.dropout": None}})
    assert set(importance(made).shares) == set(made.space) - {"model.dropout"}


def test_optuna_is_as_loud_as_before(search_of, capsys):
    before = optuna.logging.get_verbosity()
    importance(search_of(12, prune=False))
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr() == ("", "")
