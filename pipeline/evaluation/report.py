"""One HTML file that compares runs: no scripts, no requests, everything inlined, to be mailed or archived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluation import headline
from pipeline.evaluation.inline import jpeg, page_template
from pipeline.evaluation.plots.palette import DARK, LIGHT, PREDICTION, TRUTH
from pipeline.evaluation.protocol import face_nme
from pipeline.evaluation.provenance import flat
from pipeline.evaluation.report_difference import differences
from pipeline.evaluation.report_groups import groups_section
from pipeline.evaluation.report_images import faces, group_charts, training_charts
from pipeline.evaluation.report_input import ReferenceRow, RunReport, check
from pipeline.evaluation.report_robustness import COLUMNS as ROBUSTNESS
from pipeline.evaluation.report_robustness import robustness
from pipeline.evaluation.report_seeds import over_seeds
from pipeline.evaluation.report_selection import selection_section
from pipeline.evaluation.report_tables import run_table, threshold_table
from pipeline.evaluation.report_uncertainty import direction, uncertainty
from pipeline.storage import write_text

__all__ = ["ReferenceRow", "RunReport", "build_report", "render_report"]

_TITLE = "Facial landmarks: evaluation"


def build_report(
    runs: Sequence[RunReport],
    out: str,
    *,
    title: str = _TITLE,
    notes: Sequence[str] = (),
    reference_rows: Sequence[ReferenceRow] = (),
) -> None:
    """Write the report, atomically.

    Args:
        runs: At least one. Runs of different protocols get tables and charts of their own.
        out: The HTML file; local path or URL.
        title: Its heading.
        notes: Paragraphs of plain text.
        reference_rows: Published numbers.

    Raises:
        DataError: No run, two runs of one name, or a reference row with an unknown column.
        StorageError: The file cannot be written.
    """
    write_text(out, render_report(runs, title=title, notes=notes, reference_rows=reference_rows))


def render_report(
    runs: Sequence[RunReport],
    *,
    title: str = _TITLE,
    notes: Sequence[str] = (),
    reference_rows: Sequence[ReferenceRow] = (),
) -> str:
    """The report as HTML text; see ``build_report``."""
    check(runs, reference_rows)
    places = {run.name: index for index, run in enumerate(runs)}
    groups: dict[str, list[RunReport]] = {}
    for run in runs:
        groups.setdefault(run.evaluation.protocol_name, []).append(run)
    drawn = [_group(group, reference_rows, places) for group in groups.values()]
    return page_template("report.html.j2").render(
        title=title,
        notes=list(notes),
        swatches=[{"light": LIGHT.run(i)[0], "dark": DARK.run(i)[0]} for i in range(len(runs))],
        places=places,
        truth="#{:02x}{:02x}{:02x}".format(*TRUTH),
        prediction="#{:02x}{:02x}{:02x}".format(*PREDICTION),
        columns=_defined(drawn),
        robustness={"columns": ROBUSTNESS, "parts": robustness(runs)},
        groups=drawn,
        panels=[
            (run.name, [(caption, jpeg(image)) for caption, image in run.heatmap_panels])
            for run in runs
            if run.heatmap_panels
        ],
        training=training_charts(runs),
        provenance=_provenance(runs),
        runs=[run.name for run in runs],
    )


def _group(
    runs: Sequence[RunReport], reference_rows: Sequence[ReferenceRow], places: Mapping[str, int]
) -> dict[str, Any]:
    """What the template shows of the runs of one protocol; only these are ever compared."""
    protocol = runs[0].evaluation.protocol
    nme = {run.name: face_nme(run.predictions, run.layout, protocol.normalisation) for run in runs}
    # Nobody published numbers of images made harder in our way.
    published = reference_rows if protocol.perturbation is None and protocol.markup is None else ()
    references = [row for row in published if row.dataset in {None, protocol.dataset}]
    table = run_table((*headline.COLUMNS, *headline.RUN_COLUMNS), runs, references)
    return {
        "protocol": protocol.name,
        "normalisation": protocol.normalisation,
        **table,
        "warnings": _warnings(runs),
        # Of harder images the numbers tell enough: a page that is mailed shows who differs where on the images as they are.
        "differences": differences(runs, nme, images=protocol.perturbation is None),
        "cards": _cards(runs, table["columns"], table["rivals"]),
        "charts": group_charts(runs, nme, places),
        "seeds": over_seeds(runs, headline.COLUMNS),
        "thresholds": threshold_table(runs),
        "groups": groups_section(runs, places),
        "curves": _curve_table(runs),
        "faces": faces(runs, nme),
        "direction": direction(runs, references, places),
        "uncertainty": uncertainty(runs, references, places),
        "selection": selection_section(runs, nme, places),
    }


def _defined(groups: Sequence[Mapping[str, Any]]) -> list[headline.Column]:
    """The columns to explain: the usual ones, and those of the sections that are there."""
    columns = [*headline.COLUMNS, *headline.RUN_COLUMNS]
    for section, more in (
        ("direction", headline.DIRECTION_COLUMNS),
        ("uncertainty", headline.UNCERTAINTY_COLUMNS),
        ("selection", headline.SELECTION_COLUMNS),
    ):
        if any(group[section] for group in groups):
            columns += more
    return columns


def _warnings(runs: Sequence[RunReport]) -> list[str]:
    found = []
    for run in runs:
        e = run.evaluation
        if e.selected_on_test:
            found.append(
                f"{run.name}: its checkpoint was selected on this very set; its numbers are optimistic."
            )
        if e.trained_on_test:
            found.append(
                f"{run.name}: was trained on these very faces; its numbers say how well it fits them."
            )
        if e.headline.undefined:
            found.append(
                f"{run.name}: {e.headline.undefined} of {e.faces} faces have no defined "
                f"{e.protocol.normalisation} NME (size undefined or no visible landmark) and are left out."
            )
    found += dict.fromkeys(
        f"{run.name}: {mapping.sentence}." for run in runs for mapping in run.evaluation.mappings
    )
    if len({frozenset(run.predictions.keys.tolist()) for run in runs}) > 1:
        counts = ", ".join(f"{run.name} {len(run.predictions)}" for run in runs)
        found.append(
            f"The runs were not evaluated on the same faces ({counts}): numbers do not compare exactly."
        )
    return found


def _cards(
    runs: Sequence[RunReport], shown: Sequence[headline.Column], rivals: Mapping[str, tuple[str, ...] | None]
) -> list[dict[str, str]]:
    """The main numbers of the best run each; only one that is so beyond chance is called the lowest or highest."""
    cards = []
    for key in (runs[0].evaluation.protocol.normalisation, "fr10", "auc10", "scatter"):
        column = next((c for c in shown if c.key == key), None)
        known = [(value, run.name) for run in runs if (value := run.values[key]) is not None]
        if column is None or not known:
            continue
        pick = min if column.better == "lower" else max
        value, name = pick(known, key=lambda pair: pair[0])
        others = rivals[key]
        rank = {"lower": "Lowest ", "higher": "Highest "}.get(column.better or "", "") if others == () else ""
        told = "" if not others else f"; not told apart from {_listed(others)}"
        card = {
            "label": f"{rank}{column.label}",
            "value": column.text(value),
            "unit": column.unit,
            "run": f"{name}{told}",
            "swatch": name,
        }
        cards.append(card)
    return cards


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} others"


def _curve_table(runs: Sequence[RunReport]) -> dict[str, Any]:
    by_run = [run.evaluation.per_landmark.curves for run in runs]
    rows = []
    for name in dict.fromkeys(name for curves in by_run for name in curves):
        cells = []
        for curves in by_run:
            curve = curves.get(name)
            if curve is None or curve.percent is None or curve.px is None:
                cells.append(headline.ABSENT)
            else:
                cells.append(f"{curve.percent:.2f} % · {curve.px:.2f} px")
        rows.append((name.replace("_", " "), cells))
    return {"runs": [run.name for run in runs], "rows": rows}


def _provenance(runs: Sequence[RunReport]) -> list[dict[str, Any]]:
    columns = []
    for run in runs:
        e = run.evaluation
        facts = {"protocol": e.protocol_name, "run": e.run, "faces": e.faces, "landmarks": e.landmarks}
        facts |= {
            "markup": e.markup,
            "selected_on_test": e.selected_on_test,
            "trained_on_test": e.trained_on_test,
        }
        columns.append(flat({**facts, **e.provenance}))
    rows = []
    for name in dict.fromkeys(name for column in columns for name in column):
        cells = [column.get(name, headline.ABSENT) for column in columns]
        rows.append({"name": name, "cells": cells, "differs": len(set(cells)) > 1})
    return rows
