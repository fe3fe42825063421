"""Which columns and published rows a table shows."""

from __future__ import annotations

from pipeline.evaluation import headline
from pipeline.evaluation.protocol import evaluate
from pipeline.evaluation.report_input import ReferenceRow, RunReport
from pipeline.evaluation.report_tables import run_table


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
