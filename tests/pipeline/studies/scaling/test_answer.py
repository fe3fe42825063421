"""The words: gain, harm, none shown, untested, each with numbers and no more than they carry."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.cells import Study
from pipeline.studies.scaling.table import p_text

BUDGETS = {157: 11.2, 1808: 6.4}


def helped(cell):
    return BUDGETS[cell.labelled] - (1.5 if cell.unlabelled else 0) * (cell.labelled == 157)


def test_gain_and_none_shown_side_by_side_with_their_numbers(study):
    made = analyse(study(helped))
    few, many = made.answer.groups
    assert (few.outcome, many.outcome) == ("gain", "not shown")
    gain, none = (made.comparison(g.group, 25_531) for g in (few, many))
    low, high = gain.interval
    assert (
        f"25,531 unlabelled faces lowered the error: {gain.supervised:.2f} % → {gain.semi_supervised:.2f} % "
        f"(gain +{gain.gain:.2f} points, 95 % CI +{low:.2f} to +{high:.2f}; {p_text(gain.corrected_p)}; 3 seeds)."
    ) in few.text
    (bought,) = [w for w in made.worths if w.group == few.group and w.unlabelled == 25_531]
    told = re.search(
        r"worth about (\d+) more labelled faces.* would need (\d+) .*between 157 and 1,808", few.text
    )
    assert [int(n) for n in told.groups()] == pytest.approx([bought.more, bought.labelled], rel=0.05)
    assert "showed no gain" in many.text
    share = 100 * none.detectable / none.supervised
    assert f"A true gain of {none.detectable:.2f} points ({share:.1f} %) would have been found" in many.text
    assert "lowered the error: LaplaceKL + D, 157 labelled." in made.answer.headline
    assert "No gain could be shown: LaplaceKL + D, 1,808 labelled." in made.answer.headline


def test_harm_is_said(study):
    answer = analyse(study(lambda c: BUDGETS[c.labelled] + (1.5 if c.unlabelled else 0))).answer
    assert answer.headline == "Unlabelled faces raised the error (all 2 groups)."
    assert re.search(r"raised the error: .* \(gain −1\.\d\d points", answer.text)
    assert "worth" not in answer.text


def test_no_gain_at_all(study):
    answer = analyse(study(lambda c: BUDGETS[c.labelled])).answer
    assert answer.headline == "No gain could be shown (all 2 groups)."
    assert "would give" not in answer.text


def test_the_law_speaks_beyond_the_data_where_it_may(study):
    counts = (0, 1000, 3000, 10_000, 30_000)
    made = analyse(
        study(
            lambda c: 6 + 5 * (1 + c.unlabelled / 2000) ** -0.5,
            unlabelled=counts,
            labelled=(157,),
            noise=0.03,
            seeds=5,
        )
    )
    (curve,) = made.curves
    (group,) = made.answer.groups
    for prediction in curve.predictions:
        low, high = prediction.interval
        assert (
            f"{prediction.unlabelled:,} would give {prediction.error:.2f} % (95 % CI {low:.2f} to {high:.2f})"
        ) in group.text
    told = re.search(r"A further 1 % would take about ([\d,]+) more", group.text)
    assert int(told[1].replace(",", "")) == pytest.approx(curve.further, rel=0.05)


def test_one_seed_has_no_p_value(study):
    answer = analyse(study(helped, seeds=1)).answer
    assert {g.outcome for g in answer.groups} == {"not tested"}
    assert "add seeds" in answer.text
    assert "p =" not in answer.text
    assert "p <" not in answer.text


def test_diverged_runs_are_named_and_the_rest_answered(study):
    made = study(helped)
    lost = next(r for r in made.results if r.cell.unlabelled == 5000)
    lost.nme_N[0] = np.inf
    text = analyse(Study(made.results, "p", "m")).answer.text
    assert f"1 of 9 trainings diverged and have no error ({lost.run})" in text


def test_only_supervised_runs_so_far(study):
    answer = analyse(study(helped, unlabelled=(0,))).answer
    assert {g.outcome for g in answer.groups} == {"not compared"}


def test_many_groups_are_counted_not_listed(study):
    made = study(helped, widths=(4, 8, 16, 32, 64), unlabelled=(0, 25_531))
    assert re.search(r"in \d+ of 10 groups", analyse(made).answer.headline)


def test_caveats_name_what_limits_the_answer(study):
    caveats = analyse(study(helped, selected_on_test=True)).answer.caveats
    assert "optimistic" in caveats
    assert "60 faces" in caveats
    assert "2,260" in caveats


@pytest.mark.parametrize(("p", "text"), [(0.0001, "p < 0.001"), (0.0123, "p = 0.012"), (0.345, "p = 0.34")])
def test_p_values(p, text):
    assert p_text(p) == text
