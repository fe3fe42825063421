"""Which columns and published rows a table shows."""

from __future__ import annotations

from pipeline.evaluation import headline
from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report_input import ReferenceRow, RunReport
from pipeline.evaluation.report_tables import run_table, threshold_table


def test_columns_with_a_number_and_rows_with_a_number_in_them(tiny, predict, protocol):
    runs = []
    for index, name in enumerate(("a", "b")):
        predictions = predict(tiny, noise=1.0 + index, seed=index)
        runs.append(
            RunReport(name, evaluate(predictions, tiny, protocol, run=name), predictions, markup=tiny)
        )
    rows = [
        ReferenceRow("ADNet", {"normal": 1.54, "bias": 48.05}, "300-W"),
        ReferenceRow("other", {"ocular": 3.0}, ""),
    ]
    table = run_table(headline.DIRECTION_COLUMNS, runs, rows)
    assert [c.key for c in table["columns"]] == ["normal", "tangent", "bias"]
    assert [row["name"] for row in table["references"]] == ["ADNet"]
    assert table["references"][0]["cells"] == ["1.54", headline.ABSENT, "48.05"]
    assert [[bold for _, bold in row["cells"]] for row in table["rows"]] == [
        [True, True, False],
        [False, False, False],
    ]
    assert [c.key for c in run_table(headline.UNCERTAINTY_COLUMNS, runs, rows)["columns"]] == []


def test_failure_rates_and_areas_at_every_threshold(tiny, predict, protocol):
    predictions = predict(tiny, noise=4.0)
    runs = [
        RunReport(name, evaluate(predictions, tiny, protocol, run=name, thresholds=levels), predictions, tiny)
        for name, levels in (("a", (12.5,)), ("b", (2,)))
    ]
    table = threshold_table(runs)
    assert table["thresholds"] == ["2", "5", "7", "8", "10", "12.5", "15", "20"]
    measures = {measure["name"]: dict(measure["rows"]) for measure in table["measures"]}
    errors = runs[0].evaluation.headline
    assert measures["FR, faces"]["a"][5] == f"{errors.failure_rate['12.5']:.2f}"
    assert measures["FR, landmarks"]["a"][2] == f"{errors.landmark_failure_rate['7']:.2f}"
    assert measures["AUC"]["a"][7] == f"{errors.auc['20']:.2f}"
    assert measures["AUC"]["b"][5] == headline.ABSENT  # it was not asked
