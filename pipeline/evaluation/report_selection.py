"""A report's section on sorting out: what is left when the faces a model is least sure of are handed to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation import headline
from pipeline.evaluation.inline import themed
from pipeline.evaluation.plots.selection import reject_figure, risk_figure
from pipeline.evaluation.report_images import placed
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.report_tables import run_table
from pipeline.evaluation.selection import FAILURE_PERCENT, face_uncertainty
from pipeline.evaluation.sizes import face_sizes


def selection_section(
    runs: Sequence[RunReport], nme: Mapping[str, np.ndarray], places: Mapping[str, int]
) -> dict[str, Any] | None:
    """The section of runs under one protocol; None where none has an uncertainty that sorts faces.

    Args:
        runs: Runs of one protocol.
        nme: Run name → (N,) NME ratios.
        places: Run name → its index in the whole report, which gives its colour.
    """
    faces: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for run in runs:
        summary = run.evaluation.selection
        if summary is None or summary.aurc is None:
            continue
        sizes_N = face_sizes(run.predictions, run.layout, run.evaluation.protocol.normalisation)
        found = face_uncertainty(run.predictions, sizes_N)
        if found is not None:
            faces[run.name] = found[0], nme[run.name]
    if not faces:
        return None
    sorting = [run for run in runs if run.name in faces]
    names = ", ".join(faces)
    charts = [
        {
            "title": "Error of the surest",
            "alt": f"Mean NME of the surest share of the faces of {names} against that share.",
            **themed(lambda theme: risk_figure(faces, theme=placed(theme, faces, places))),
        }
    ]
    threshold = FAILURE_PERCENT / 100
    if any((error[np.isfinite(unsure)] > threshold).any() for unsure, error in faces.values()):
        drawn = themed(lambda theme: reject_figure(faces, threshold, theme=placed(theme, faces, places)))
        alt = f"Share of the faces above {FAILURE_PERCENT} % NME of {names} among the least sure, against the share rejected."
        charts.append({"title": "Failures found", "alt": alt, **drawn})
    by_scatter = [
        run.name for run in sorting if (s := run.evaluation.selection) is not None and s.by == "scatter"
    ]
    return {
        "table": run_table(headline.SELECTION_COLUMNS, sorting, ()),
        "charts": charts,
        "by_scatter": ", ".join(by_scatter),
    }
