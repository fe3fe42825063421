"""Charts of what is gained by leaving the least sure faces out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.metrics.selection import failures_found, oracle, risk_coverage
from pipeline.evaluation.plots.canvas import LINE, canvas, label_axes, legend_above, printable
from pipeline.evaluation.plots.palette import LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pairs = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Run name → (N,) uncertainty and (N,) error of each face, ratios, NaN where undefined."""

_FEWEST = 5  # faces whose mean says anything


def risk_figure(faces: Pairs, *, theme: Theme = LIGHT) -> Figure:
    """Mean NME of the surest share of the faces against that share; dotted, what the errors' own order would give.

    Raises:
        ValueError: A run has no face with both.
    """
    figure, (axis,) = canvas(6.4, 4.0 + LINE * len(faces), theme)
    for index, (name, (unsure, error)) in enumerate(faces.items()):
        colour, style = theme.run(index)
        x, y = (100 * values[_FEWEST - 1 :] for values in oracle(error, unsure))
        axis.plot(x, y, color=colour, linestyle=":", linewidth=1.3)
        x, y = (100 * values[_FEWEST - 1 :] for values in risk_coverage(error, unsure))
        axis.plot(x, y, color=colour, linestyle=style, linewidth=2, label=printable(name))
    axis.set_xlim(0, 100)
    axis.set_ylim(bottom=0)
    label_axes(axis, theme, x="surest faces, %", y="their mean NME, %")
    legend_above(axis, theme)
    return figure


def reject_figure(faces: Pairs, threshold: float, *, theme: Theme = LIGHT) -> Figure:
    """Share of the failures among the least sure faces against the share of faces rejected; dotted, a random order.

    Args:
        faces: See ``Pairs``; runs without a failure are not drawn.
        threshold: Of a failure, a ratio.
        theme: Colours.
    """
    figure, (axis,) = canvas(6.4, 4.0 + LINE * (1 + len(faces)), theme)
    axis.plot([0, 100], [0, 100], color=theme.ink, linestyle=":", linewidth=1.3, label="a random order")
    for index, (name, (unsure, error)) in enumerate(faces.items()):
        failures = int((error[np.isfinite(unsure)] > threshold).sum())
        if failures:
            colour, style = theme.run(index)
            x, y = (100 * values for values in failures_found(error, unsure, threshold))
            axis.plot(
                x,
                y,
                color=colour,
                linestyle=style,
                linewidth=2,
                label=f"{printable(name)}  ({failures} faces)",
            )
    axis.set_xlim(0, 100)
    axis.set_ylim(0, 100)
    label_axes(
        axis,
        theme,
        x="least sure faces, rejected, %",
        y=f"faces above {100 * threshold:g} % NME among them, %",
    )
    legend_above(axis, theme)
    return figure
