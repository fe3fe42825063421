"""What a report refuses before it draws anything."""

from __future__ import annotations

import dataclasses

import pytest

from pipeline.errors import DataError
from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report_input import ReferenceRow, RunReport, check
from pipeline.markup import load_markup


@pytest.fixture
def run(predictions, tiny, protocol) -> RunReport:
    return RunReport(
        "base", evaluate(predictions, tiny, protocol, run="base"), predictions, markup=tiny, steps=9
    )


def test_good_input_passes(run):
    check([run], [ReferenceRow("paper", {"ocular": 3.2, "parameters": 39800}, "other split")])


def test_refusals(run, tiny, predict):
    with pytest.raises(DataError, match="at least one run"):
        check([], [])
    with pytest.raises(DataError, match="two runs are called 'base'"):
        check([run, run], [])
    with pytest.raises(DataError, match="'paper': no column 'iod'; there are: auc10"):
        check([run], [ReferenceRow("paper", {"iod": 3.2}, "")])
    other = dataclasses.replace(run, predictions=predict(tiny, faces=5))
    with pytest.raises(DataError, match="predictions of 5 faces beside an evaluation of 12"):
        check([other], [])


def test_values_join_numbers_and_the_runs_own(run):
    assert run.values["ocular"] == run.evaluation.headline.nme
    assert (run.values["steps"], run.values["images"]) == (9, None)


def test_packaged_markup_is_found_by_name(predict, protocol):
    ibug = load_markup("ibug68")
    predictions = predict(ibug, images=False)
    run = RunReport("base", evaluate(predictions, ibug, protocol, run="base"), predictions)
    assert run.layout is ibug
