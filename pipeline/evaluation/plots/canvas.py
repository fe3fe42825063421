"""The ground of every chart: a themed figure, labelled axes, a legend, and bytes of the result.

Figures are made without pyplot, so nothing is global and threads are safe.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pipeline.evaluation.plots.palette import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TYPE = 9
"""Points of all text on all charts: pages show a chart at its own size, so that all text of a page's charts is of one."""

_SHORT = 16  # characters of a name of which three stand side by side

LINE = 0.18
"""Height of a line of a legend, inches."""


def canvas(
    width: float, height: float, theme: Theme, columns: int = 1, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure of ``width`` × ``height`` inches and its axes, row by row, in a theme's colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=theme.background)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes:
        axis.set_facecolor(theme.background)
        axis.grid(color=theme.faint, linewidth=0.7)
        axis.set_axisbelow(True)
        axis.tick_params(colors=theme.ink, labelsize=TYPE, length=0)
        for name, spine in axis.spines.items():
            spine.set_color(theme.faint)
            spine.set_visible(name in {"left", "bottom"})
    return figure, axes


def label_axes(axis: Axes, theme: Theme, *, x: str = "", y: str = "", title: str = "") -> None:
    """Name the axes and the chart; text is never typeset as mathematics."""
    axis.set_xlabel(x, color=theme.ink, fontsize=TYPE, parse_math=False)
    axis.set_ylabel(y, color=theme.ink, fontsize=TYPE, parse_math=False)
    if title:
        axis.set_title(title, color=theme.ink, fontsize=TYPE, loc="left", parse_math=False)


def add_legend(axis: Axes, theme: Theme, **options: Any) -> None:
    """A legend of everything drawn with a label."""
    handles, labels = axis.get_legend_handles_labels()
    # matplotlib drops labels that begin with an underscore and typesets text between dollar signs; a run may
    # be called so.
    legend = axis.legend(handles, labels, fontsize=TYPE, frameon=False, labelcolor=theme.ink, **options)
    for text in legend.get_texts():
        text.set_parse_math(False)


def legend_above(axis: Axes, theme: Theme) -> None:
    """A legend above the chart, a line each: no corner of a chart of runs is free whatever they are."""
    add_legend(axis, theme, loc="lower left", bbox_to_anchor=(0.0, 1.0))


def columns_above(names: Sequence[str]) -> int:
    """Columns of a legend above the chart that short names may share: no name is cut off."""
    return min(3 if max(map(len, names), default=0) <= _SHORT else 2, len(names))


def printable(name: str, most: int = 26) -> str:
    """A run's name as a label that matplotlib shows whole: shortened; it hides those that begin with an underscore."""
    name = shortened(name, most)
    return f" {name}" if name.startswith("_") else name


def shortened(name: str, most: int = 26) -> str:
    """A name that fits its place. Its middle goes: runs of one study begin alike, and end in what tells them apart."""
    if len(name) <= most:
        return name
    end = (most - 1) // 2
    return f"{name[: most - 1 - end]}…{name[-end:]}"


def render(figure: Figure, kind: Literal["svg", "png"] = "svg", *, dpi: int = 144) -> bytes:
    """The figure as bytes: SVG (text as outlines, alike everywhere) or PNG; the same bytes every time."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with mpl.rc_context({"svg.hashsalt": "landmark-pipeline", "svg.fonttype": "path"}):
        figure.savefig(buffer, format=kind, dpi=dpi, metadata=metadata, facecolor=figure.get_facecolor())
    return buffer.getvalue()
