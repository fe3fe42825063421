"""Charts of where and in which direction errors spread, on a mean face (Huang et al., "ADNet", ICCV 2021, figure 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.plots.canvas import TYPE, add_legend, canvas, label_axes, printable, shortened
from pipeline.evaluation.plots.ellipses import ellipse_axes, ellipse_outlines
from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.markup import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CORNERS = 28  # of an ellipse: round to the eye, and every one is written into the report
_MAGNIFICATIONS = (1, 2, 3, 5, 10)
_ROOM = 0.03
"""Typical half axis of a drawn ellipse over the face: beyond, those of the eyes cover each other."""


def magnification(moments: Mapping[str, np.ndarray]) -> int:
    """By how much all ellipses are enlarged to be seen without covering each other.

    Args:
        moments: Run name → (K, 2, 2) second moments of the errors, faces scaled to 1; NaN where unknown.
    """
    long = np.concatenate(
        [ellipse_axes(m[np.isfinite(m).all(axis=(1, 2))])[0][:, 0] for m in moments.values()]
    )
    typical = float(np.median(long)) if len(long) else 0.0
    return max((m for m in _MAGNIFICATIONS if m * typical <= _ROOM), default=1)


def direction_figure(
    shape_K2: np.ndarray,
    moments: Mapping[str, np.ndarray],
    bias: Mapping[str, float | None],
    markup: Markup,
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Root mean square error of each landmark by direction, as an ellipse on a mean face: one map per run, on one scale.

    Args:
        shape_K2: (K, 2) where to draw the landmarks, (x, y), y downwards, the face scaled to 1; NaN where unknown.
        moments: Run name → (K, 2, 2) second moments of the errors in that unit; NaN where unknown.
        bias: Run name → bias rate in per cent (None where undefined).
        markup: Its contours are drawn behind.
        theme: Colours.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    columns = min(2, len(moments)) if len(moments) <= 4 else 3
    rows = -(-len(moments) // columns)
    figure, axes = canvas(6.4 if columns < 3 else 10.8, max(4.4, 3.8 * rows), theme, columns, rows)
    times = magnification(moments)
    for index, (axis, (name, moments_K22)) in enumerate(zip(axes, moments.items(), strict=False)):
        axis.grid(visible=False)
        axis.set_aspect("equal")
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
        for curve in markup.curves:
            for a, b in curve.segments:
                axis.plot(*shape_K2[[a, b]].T, color=theme.faint, linewidth=1.2, zorder=1)
        known = np.isfinite(moments_K22).all(axis=(1, 2)) & np.isfinite(shape_K2).all(axis=1)
        outlines = ellipse_outlines(shape_K2[known], moments_K22[known], float(times), _CORNERS)
        colour = theme.run(index)[0]
        ellipses = PolyCollection(list(outlines), facecolor=to_rgba(colour, 0.3), edgecolor=colour)
        ellipses.set(linewidth=1.1, zorder=2)
        axis.add_collection(ellipses)
        axis.autoscale_view()
        axis.invert_yaxis()
        rate = bias.get(name)
        told = "" if rate is None else f"\nbias rate {rate:.0f} %"
        drawn = "root mean square error, to scale" if times == 1 else f"root mean square error, {times}×"
        label_axes(axis, theme, x=drawn, title=f"{shortened(name)}{told}")
    for axis in axes[len(moments) :]:
        axis.axis("off")
    return figure


def direction_bars(
    percent: Mapping[str, Mapping[str, tuple[float | None, float | None]]], *, theme: Theme = LIGHT
) -> Figure:
    """Mean error across (solid) and along (pale, behind) each contour, bars side by side for several runs.

    Args:
        percent: Run name → contour name → normal and tangent error in per cent (None where undefined).
        theme: Colours.
    """
    groups = list(dict.fromkeys(curve for values in percent.values() for curve in values))
    figure, (axis,) = canvas(6.4, 1.0 + max(0.42, 0.2 * len(percent)) * len(groups), theme)
    thickness = 0.8 / max(1, len(percent))
    rows = np.arange(len(groups))
    for index, (name, values) in enumerate(percent.items()):
        pairs = [values.get(curve, (None, None)) for curve in groups]
        place = rows + (index - (len(percent) - 1) / 2) * thickness
        colour = theme.run(index)[0]
        across, along = ([pair[side] or 0.0 for pair in pairs] for side in (0, 1))
        label = printable(name, 18)  # two stand side by side, with a word more
        axis.barh(place, along, thickness * 0.9, color=colour, alpha=0.35, label=f"{label}, along")
        axis.barh(place, across, thickness * 0.5, color=colour, label=f"{label}, across")
        for row, (normal, tangent) in zip(place, pairs, strict=True):
            if normal is None or tangent is None:
                continue
            axis.annotate(
                f"{normal:.2f} | {tangent:.2f}",
                (max(normal, tangent), row),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=TYPE,
                color=theme.ink,
            )
    axis.set_yticks(rows, [curve.replace("_", " ") for curve in groups])
    axis.invert_yaxis()
    axis.margins(x=0.2)
    axis.grid(visible=False, axis="y")
    label_axes(axis, theme, x="mean error, %: across | along")
    add_legend(axis, theme, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    return figure
