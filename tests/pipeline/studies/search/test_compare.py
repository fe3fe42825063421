"""Only finished trials win; what is said about the gain is true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.studies.search.compare import (
    best,
    compare,
    default_trial,
    first_line,
    luck,
    same,
    seed_noise,
    upper_fence,
)
from pipeline.studies.search.trials import Search, Trial
from pipeline.training.config.tune import ParameterConfig


def make(*objectives, states=None, seeds=None, default=-1):
    """Trials whose one key is their number; objectives are numbers, or lists per seed."""
    trials = []
    for number, given_ in enumerate(objectives):
        per_seed = tuple(given_) if isinstance(given_, list) else ()
        objective = float(np.mean(given_)) if given_ is not None else None
        state = states[number] if states else "finished"
        reason = "out of memory\nsecond line" if state == "failed" else None
        trials.append(
            Trial(
                number=number,
                name=f"t{number}",
                values={"k": number},
                state=state,
                objective=objective,
                per_seed=per_seed,
                reason=reason,
            )
        )
    space = {"k": ParameterConfig(type="int", low=-1, high=99)}
    count = max((len(o) for o in objectives if isinstance(o, list)), default=1) if seeds is None else seeds
    return Search(
        name="s",
        space=space,
        default={"k": default},
        trials=tuple(trials),
        planned=len(trials) or 1,
        seeds=tuple(range(count)),
    )


STATES = st.sampled_from(["finished", "pruned", "failed", "running"])


@given(st.lists(st.tuples(st.floats(0, 100), STATES), max_size=12))
def test_best_is_the_lowest_finished(rows):
    made = make(*(v for v, _ in rows), states=[s for _, s in rows])
    finished = [(v, n) for n, (v, s) in enumerate(rows) if s == "finished"]
    winner = best(made)
    assert (winner is None) == (not finished)
    if winner is not None:
        assert (winner.objective, winner.number) == min(finished)


def test_a_pruned_trial_never_wins():
    made = make(5.0, 3.0, 4.5, states=["finished", "pruned", "finished"], default=0)
    found = compare(made)
    assert found is not None
    assert (found.best.number, found.gain) == (2, pytest.approx(0.5))
    assert compare(make(3.0, 4.0, states=["pruned", "failed"])) is None


def test_gain_over_the_default():
    assert compare(make(5.0, 4.0, default=0)).gain == pytest.approx(1.0)
    assert compare(make(4.0, 5.0, default=0)).gain == 0.0  # the default is the best
    absent = compare(make(5.0, 4.0))
    assert absent.gain is None
    assert any("not among the trials" in c for c in absent.cautions)
    failed = compare(make(None, 4.0, states=["failed", "finished"], default=0))
    assert failed.gain is None
    assert any("(trial 0) are failed: out of memory: no gain" in c for c in failed.cautions)


def test_the_default_is_found_by_value_and_type():
    values = [{"a": 1, "b": 0.1}, {"a": True, "b": 0.1 + 0.2}, {"a": True, "b": 0.1 + 0.2}]
    states = ["finished", "failed", "finished"]
    trials = tuple(
        Trial(number=i, name=str(i), values=v, state=s, objective=1.0, reason="x")
        for i, (v, s) in enumerate(zip(values, states, strict=True))
    )
    space = {
        "a": ParameterConfig(type="choice", values=(True, 2)),
        "b": ParameterConfig(type="float", low=0, high=1),
    }
    made = Search(name="s", space=space, default={"a": True, "b": 0.3}, trials=trials, planned=3)
    assert default_trial(made).number == 2  # trial 0 has 1, not true; trial 1 is the same, but failed
    assert same(1, 1.0)
    assert not same(None, 0)
    assert not same("1", 1)


def test_winners_curse_and_one_seed_are_always_told():
    text = " ".join(compare(make(5.0, 4.0, 4.2, default=0)).cautions)
    assert "best of 3 finished trials was chosen by the very number shown" in text
    assert "One training per trial" in text
    alone = compare(make(5.0, default=0))
    assert not any("best of" in c for c in alone.cautions)


def test_an_unfinished_search_says_so():
    made = make(5.0, None, 4.0, states=["finished", "running", "finished"], default=0)
    made = made.model_copy(update={"planned": 10})
    assert any("8 of 10 trials are still to finish" in c for c in compare(made).cautions)
    assert not any("still" in c for c in compare(make(5.0, 4.0, default=0)).cautions)


def test_seed_by_seed():
    found = compare(make([5.0, 6.0, 7.0], [4.0, 6.5, 6.0], default=0))
    assert found.per_seed == pytest.approx((1.0, -0.5, 1.0))
    text = " ".join(found.cautions)
    assert "ahead of the default on 2 of 3: by -0.50 to +1.00 points, +0.50 on average" in text
    assert "One training per trial" not in text
    # Independent reference: the pooled deviation is the root of the mean of the variances where all groups are of one size.
    variances = [np.var([5.0, 6.0, 7.0], ddof=1), np.var([4.0, 6.5, 6.0], ddof=1)]
    assert seed_noise(make([5.0, 6.0, 7.0], [4.0, 6.5, 6.0])) == pytest.approx(np.sqrt(np.mean(variances)))
    assert seed_noise(make(5.0, 4.0)) is None


def test_luck_is_what_equal_trials_show():
    # Equal trials, simulated: how far the best stands below the mean, against the formula with the true noise.
    rng = np.random.default_rng(0)
    trials, seeds, noise = 20, 3, 0.4
    seen, said = [], []
    for _ in range(200):
        draws = rng.normal(5, noise, (trials, seeds))
        seen.append(draws.mean() - draws.mean(axis=1).min())
        said.append(luck(make(*draws.tolist())))
    assert np.mean(said) == pytest.approx(np.mean(seen), rel=0.05)
    assert luck(make([5.0, 5.1])) is None


@settings(max_examples=50)
@given(st.lists(st.floats(1, 20), min_size=8, max_size=30))
def test_a_diverged_run_is_above_the_fence_and_moves_it_little(values):
    fence = upper_fence([*values, 1e4])
    assert fence < 1e4
    assert upper_fence(values) >= np.median(values)


def test_first_line():
    assert first_line("\n  a \nb") == "a"
    assert first_line(None) == ""
    assert len(first_line("x" * 500, 40)) == 40
