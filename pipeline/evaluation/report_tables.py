"""A report's tables of runs as rows, published rows beneath."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.evaluation import headline
from pipeline.evaluation.report_input import ReferenceRow, RunReport
from pipeline.evaluation.significance import rivals


def run_table(
    columns: Sequence[headline.Column],
    runs: Sequence[RunReport],
    references: Sequence[ReferenceRow],
) -> dict[str, Any]:
    """What the template shows of runs that compare: columns with a number, the best of each marked where it is so beyond chance.

    Args:
        columns: To choose from.
        runs: Of one protocol.
        references: Published rows of its data set; those without a number in these columns are left out.

    Returns:
        ``columns``, ``rows`` and ``references``; ``rivals`` by column's key, see ``significance.rivals``; and whether any
        column was ``tested``.
    """
    ours = [run.values for run in runs]
    published = [row for row in references if any(row.values.get(c.key) is not None for c in columns)]
    shown = [
        c
        for c in columns
        if any(row.get(c.key) is not None for row in (*ours, *(r.values for r in published)))
    ]
    told = {c.key: rivals(runs, c) for c in shown}
    winners = {c.key: headline.best(ours, c) if told[c.key] == () else set() for c in shown}
    return {
        "columns": shown,
        "rivals": told,
        "tested": any(names is not None for names in told.values()),
        "rows": [
            {
                "name": run.name,
                "selected_on_test": run.evaluation.selected_on_test,
                "cells": [(c.text(row[c.key]), index in winners[c.key]) for c in shown],
            }
            for index, (run, row) in enumerate(zip(runs, ours, strict=True))
        ],
        "references": [
            {"name": r.name, "caveat": r.caveat, "cells": [c.text(r.values.get(c.key)) for c in shown]}
            for r in published
        ],
    }


def threshold_table(runs: Sequence[RunReport]) -> dict[str, Any]:
    """Failure rates by face and by landmark, and areas, of runs of one protocol at every threshold that was asked for."""
    summaries = [(run.name, run.evaluation.headline) for run in runs]
    thresholds = sorted({t for _, summary in summaries for t in summary.failure_rate}, key=float)
    measures = {
        "FR, faces": [summary.failure_rate for _, summary in summaries],
        "FR, landmarks": [summary.landmark_failure_rate for _, summary in summaries],
        "AUC": [summary.auc for _, summary in summaries],
    }
    return {
        "thresholds": thresholds,
        "measures": [
            {
                "name": measure,
                "rows": [
                    (name, [_text(row.get(t)) for t in thresholds])
                    for (name, _), row in zip(summaries, rows, strict=True)
                ],
            }
            for measure, rows in measures.items()
        ],
    }


def _text(value: float | None) -> str:
    return headline.ABSENT if value is None else f"{value:.2f}"
