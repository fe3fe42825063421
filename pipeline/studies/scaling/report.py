"""One HTML file that answers what unlabelled faces bought: answer first, then the evidence."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.headline import ABSENT
from pipeline.evaluation.inline import page_template, themed
from pipeline.evaluation.plots.palette import DARK, LIGHT, Theme
from pipeline.evaluation.provenance import flat
from pipeline.storage import write_text
from pipeline.studies.scaling.analysis import Analysis
from pipeline.studies.scaling.cells import Study
from pipeline.studies.scaling.plots import gain_figure, labelled_figure, unlabelled_figure
from pipeline.studies.scaling.table import number
from pipeline.studies.scaling.tables import by_unlabelled, by_width, curves, gains, measures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TITLE = "What do more unlabelled faces buy?"


def build_scaling_report(analysis: Analysis, out: str, *, title: str = _TITLE) -> None:
    """Write the report, atomically.

    Args:
        analysis: What to report.
        out: The HTML file; local path or URL.
        title: Its heading.

    Raises:
        StorageError: The file cannot be written.
    """
    write_text(out, render_scaling_report(analysis, title=title))


def render_scaling_report(analysis: Analysis, *, title: str = _TITLE) -> str:
    """The report as HTML text; see ``build_scaling_report``."""
    series = analysis.series
    return page_template("scaling.html.j2", "pipeline.studies").render(
        title=title,
        swatches=[{"light": LIGHT.run(i)[0], "dark": DARK.run(i)[0]} for i in range(len(series))],
        places={name: index for index, name in enumerate(series)},
        study=analysis.study,
        answer=analysis.answer,
        main=by_unlabelled(analysis),
        widths=by_width(analysis),
        gains=gains(analysis),
        curves=curves(analysis),
        measures=measures(analysis),
        charts=_charts(analysis),
        forests=_forests(analysis),
        provenance=_provenance(analysis.study),
        cells=_cells(analysis.study),
    )


def _charts(analysis: Analysis) -> list[dict[str, str]]:
    budgets = sorted({level.group.labelled for level in analysis.levels if level.unlabelled})
    charts = []
    for labelled in budgets:
        alt = f"Error against unlabelled faces at {labelled:,} labelled faces; numbers in the table above"
        charts.append({**themed(partial(_against_unlabelled, analysis, labelled)), "alt": alt})
    if len(budgets) > 1:
        alt = "Error against labelled faces, with and without unlabelled faces"
        charts.append({**themed(lambda theme: labelled_figure(analysis, theme=theme)), "alt": alt})
    return charts


def _forests(analysis: Analysis) -> list[dict[str, str]]:
    return [
        {
            **themed(partial(_forest, analysis, series)),
            "alt": f"Gains of {series} with confidence intervals; numbers in the table below",
        }
        for series in dict.fromkeys(c.group.series for c in analysis.comparisons)
    ]


def _against_unlabelled(analysis: Analysis, labelled: int, theme: Theme) -> Figure:
    return unlabelled_figure(analysis, labelled, theme=theme)


def _forest(analysis: Analysis, series: str, theme: Theme) -> Figure:
    return gain_figure(analysis, series, theme=theme)


def _provenance(study: Study) -> list[tuple[str, str]]:
    runs = study.results
    seeds = sorted({r.cell.seed for r in runs})
    facts: dict[str, Any] = {
        "protocol": study.protocol,
        "markup": study.markup,
        "faces": study.faces,
        "faces left out": study.excluded,
        "trainings": len(runs),
        "diverged": [r.run for r in study.diverged],
        "seeds": seeds,
        "steps": sorted({r.steps for r in runs}),
        "training time, h": f"{sum(r.seconds for r in runs) / 3600:.2f}",
        "selected on the measured faces": study.selected_on_test,
    }
    return list(flat({**facts, **study.provenance}).items())


def _cells(study: Study) -> list[list[str]]:
    ordered = sorted(
        study.results,
        key=lambda r: (r.cell.method, r.cell.width or 0, r.cell.labelled, r.cell.unlabelled, r.cell.seed),
    )
    return [
        [
            r.run,
            r.cell.method,
            ABSENT if r.cell.width is None else str(r.cell.width),
            f"{r.cell.labelled:,}",
            f"{r.cell.unlabelled:,}",
            str(r.cell.seed),
            "diverged" if r.diverged else number(study.error(r), "{:.3f}"),
            number(r.validation_nme, "{:.3f}"),
            f"{r.steps:,}",
            f"{r.seconds / 60:.1f}",
            r.config_hash[:12],
            r.mlflow_run or ABSENT,
        ]
        for r in ordered
    ]
