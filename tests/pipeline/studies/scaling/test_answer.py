"""The words: gain, harm, none shown, untested, each with numbers and no more than they carry."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.answer import p_text
from pipeline.studies.scaling.cells import Study

BUDGETS = {157: 11.2, 1808: 6.4}


def helped(cell):
    return BUDGETS[cell.labelled] - (1.5 if cell.unlabelled else 0) * (cell.labelled == 157)


def test_gain_and_none_shown_side_by_side(study):
    made = analyse(study(helped))
    few, many = made.answer.groups
    assert (few.outcome, many.outcome) == ("gain", "not shown")
    words = " ".join(few.sentences)
    assert re.search(r"25,531 unlabelled faces lowered the error from \d+\.\d\d % to \d+\.\d\d % \(−", words)
    assert "3 seeds" in words
    assert re.search(r"worth about \d+ more labelled faces.*between 157 and 1,808", words)
    words = " ".join(many.sentences)
    assert "no gain could be shown" in words
    assert "four times in five" in words
    assert "lowered the error:" in made.answer.headline
    assert "No gain could be shown:" in made.answer.headline


def test_harm_is_said(study):
    answer = analyse(study(lambda c: BUDGETS[c.labelled] + (1.5 if c.unlabelled else 0))).answer
    assert answer.headline == "Unlabelled faces raised the error, in all 2 groups."
    assert "raised the error from" in answer.text
    assert "worth" not in answer.text


def test_no_gain_at_all(study):
    answer = analyse(study(lambda c: BUDGETS[c.labelled])).answer
    assert answer.headline == "No gain could be shown in any of the 2 groups."
    assert "would give" not in answer.text


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
    caveats = " ".join(analyse(study(helped, selected_on_test=True)).answer.caveats)
    assert "optimistic" in caveats
    assert "60 faces" in caveats
    assert "2,260" in caveats


@pytest.mark.parametrize(("p", "text"), [(0.0001, "p < 0.001"), (0.0123, "p = 0.012"), (0.345, "p = 0.34")])
def test_p_values(p, text):
    assert p_text(p) == text
