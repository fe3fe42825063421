"""Charts of errors. Each takes plain arrays by run name and returns a matplotlib ``Figure``.

Errors come in as ratios and are drawn in per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.metrics.failure import auc, ced_curve, landmark_ced_curve, landmark_failure_rate
from pipeline.evaluation.plots.canvas import (
    LINE,
    TYPE,
    add_legend,
    canvas,
    columns_above,
    label_axes,
    legend_above,
    printable,
    shortened,
)
from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.markup import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Series = tuple[Sequence[float], Sequence[float]]
"""x and y of one training curve, e.g. (steps, losses)."""

_VERTICES = 400


def ced_figure(nme: Mapping[str, np.ndarray], *, limit: float = 0.10, theme: Theme = LIGHT) -> Figure:
    """Cumulative error distribution of several runs.

    Args:
        nme: Run name → (N,) NME ratios; NaN faces are left out.
        limit: Right end of the axis and θ of the AUC in the legend, a ratio.
        theme: Colours.
    """
    curves = {name: ced_curve(values, limit) for name, values in nme.items()}
    told = {name: f"AUC {100 * auc(values, limit):.1f}" for name, values in nme.items()}
    return _distribution(curves, told, "NME threshold, %", "faces with NME ≤ threshold, %", theme)


def landmark_ced_figure(
    nme: Mapping[str, np.ndarray], *, limit: float = 0.20, theme: Theme = LIGHT
) -> Figure:
    """Landmark-wise cumulative error distribution of several runs (Yan et al. 2021, figures 8 to 11).

    Args:
        nme: Run name → (N, K) error of each landmark as a ratio, NaN where it does not count.
        limit: Right end of the axis, a ratio; the legend gives FR^L at it and at half of it.
        theme: Colours.
    """
    curves, told = {}, {}
    for name, values in nme.items():
        x, y = landmark_ced_curve(values, limit)
        # Ten thousands of steps are no finer than the pixels they are drawn on.
        shown = np.unique(np.linspace(0, len(x) - 1, _VERTICES).round().astype(int))
        curves[name] = x[shown], y[shown]
        half, whole = (100 * landmark_failure_rate(values, t) for t in (limit / 2, limit))
        told[name] = f"FR {half:.1f} at {50 * limit:g} %, {whole:.2f} at {100 * limit:g} %"
    x_label, y_label = "error threshold of a landmark, %", "faces with the landmark within, %"
    return _distribution(curves, told, x_label, y_label, theme)


def _distribution(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    told: Mapping[str, str],
    x_label: str,
    y_label: str,
    theme: Theme,
) -> Figure:
    """Step functions of ratios, up to the last vertex, and beside each name what is told of it."""
    figure, (axis,) = canvas(6.4, 4.0 + LINE * len(curves), theme)
    for index, (name, (x, y)) in enumerate(curves.items()):
        colour, style = theme.run(index)
        label = f"{printable(name)}  ({told[name]})"
        axis.step(100 * x, 100 * y, where="post", color=colour, linestyle=style, linewidth=2, label=label)
        axis.set_xlim(0, 100 * x[-1])
    axis.set_ylim(0, 100)
    label_axes(axis, theme, x=x_label, y=y_label)
    legend_above(axis, theme)
    return figure


def histogram_figure(
    nme: Mapping[str, np.ndarray], *, limit: float | None = None, theme: Theme = LIGHT
) -> Figure:
    """Histogram of the faces' NME, the median of each run marked.

    Args:
        nme: Run name → (N,) NME ratios; NaN faces are left out.
        limit: Right end, a ratio; faces beyond fall into the last bin. Default: the 99th percentile of all
            runs.
        theme: Colours.

    Raises:
        ValueError: No face of any run has a finite NME.
    """
    known = {name: values[np.isfinite(values)] for name, values in nme.items()}
    everything = np.concatenate(list(known.values()))
    if not len(everything):
        raise ValueError("no face has a finite NME: there is nothing to draw")
    right = max(limit if limit is not None else float(np.percentile(everything, 99)), 1e-6)
    edges = np.linspace(0, 100 * right, 31)
    figure, (axis,) = canvas(6.4, 4.0 + LINE * len(known), theme)
    for index, (name, values) in enumerate(known.items()):
        if not len(values):
            continue
        colour, style = theme.run(index)
        percent = np.minimum(100 * values, edges[-1])
        shares = 100 * np.histogram(percent, edges)[0] / len(percent)
        median = 100 * float(np.median(values))
        label = f"{printable(name)}  (median {median:.2f} %)"
        axis.stairs(shares, edges, fill=True, color=colour, alpha=0.16)
        axis.stairs(shares, edges, color=colour, linestyle=style, linewidth=1.8, label=label)
        axis.axvline(median, color=colour, linestyle=":", linewidth=1.4)
    axis.set_xlim(0, edges[-1])
    label_axes(axis, theme, x="NME of a face, % (last bin: and above)", y="faces, %")
    legend_above(axis, theme)
    return figure


def curve_figure(percent: Mapping[str, Mapping[str, float | None]], *, theme: Theme = LIGHT) -> Figure:
    """Mean error of each facial contour, bars side by side for several runs.

    Args:
        percent: Run name → contour name → mean error in per cent (None where undefined).
        theme: Colours.
    """
    groups = list(dict.fromkeys(curve for values in percent.values() for curve in values))
    figure, (axis,) = canvas(6.4, 0.9 + max(0.42, 0.2 * len(percent)) * len(groups), theme)
    thickness = 0.8 / max(1, len(percent))
    rows = np.arange(len(groups))
    for index, (name, values) in enumerate(percent.items()):
        lengths = [values.get(curve) or 0.0 for curve in groups]
        offset = (index - (len(percent) - 1) / 2) * thickness
        colour = theme.run(index)[0]
        bars = axis.barh(rows + offset, lengths, thickness * 0.9, color=colour, label=printable(name))
        texts = ["" if values.get(curve) is None else f"{values[curve]:.2f}" for curve in groups]
        axis.bar_label(bars, texts, padding=3, fontsize=TYPE, color=theme.ink)
    axis.set_yticks(rows, [curve.replace("_", " ") for curve in groups])
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.grid(visible=False, axis="y")
    label_axes(axis, theme, x="mean error, %")
    if len(percent) > 1:
        add_legend(
            axis, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns_above([*percent])
        )
    return figure


def landmark_map_figure(
    shape_K2: np.ndarray,
    percent: Mapping[str, Sequence[float | None]],
    markup: Markup,
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Mean error of each landmark on a mean face: one map per run, on one scale.

    Args:
        shape_K2: (K, 2) where to draw the landmarks, (x, y), y downwards, any unit.
        percent: Run name → (K,) mean error in per cent (None where undefined).
        markup: Its contours are drawn behind.
        theme: Colours.
    """
    # Two columns fit beside another chart; more runs get a page's width.
    columns = min(2, len(percent)) if len(percent) <= 4 else 3
    rows = -(-len(percent) // columns)
    values = {
        name: np.array([np.nan if value is None else value for value in row], dtype=float)
        for name, row in percent.items()
    }
    finite = np.concatenate([v[np.isfinite(v)] for v in values.values()])
    top = float(finite.max()) if len(finite) else 1.0
    figure, axes = canvas(6.4 if columns < 3 else 10.2, max(4.0, 3.4 * rows), theme, columns, rows)
    points = None
    for axis, (name, errors) in zip(axes, values.items(), strict=False):
        axis.axis("off")
        axis.set_aspect("equal")
        for curve in markup.curves:
            for a, b in curve.segments:
                axis.plot(*shape_K2[[a, b]].T, color=theme.faint, linewidth=1, zorder=1)
        known = np.isfinite(errors)
        sizes = 14 + 130 * errors[known] / max(top, 1e-9)
        x, y = shape_K2[known].T
        points = axis.scatter(x, y, s=sizes, c=errors[known], cmap="viridis", vmin=0, vmax=top, linewidths=0)
        points.set_zorder(2)
        axis.invert_yaxis()
        label_axes(axis, theme, title=shortened(name))
    for axis in axes[len(values) :]:
        axis.axis("off")
    if points is not None:
        bar = figure.colorbar(points, ax=axes, shrink=0.8, aspect=30)
        bar.set_label("mean error, %", color=theme.ink, fontsize=TYPE)
        bar.ax.tick_params(colors=theme.ink, labelsize=TYPE)
        bar.ax.spines["outline"].set_visible(False)
    return figure


def training_figure(curves: Mapping[str, Mapping[str, Series]], *, theme: Theme = LIGHT) -> Figure:
    """Training curves: one panel per quantity, one line per run.

    Args:
        curves: Run name → quantity → (x, y), e.g. ``{"base": {"validation NME, %": (steps, values)}}``.
        theme: Colours.

    Raises:
        ValueError: There is no curve.
    """
    quantities = list(dict.fromkeys(q for series in curves.values() for q in series))
    if not quantities:
        raise ValueError("no run has a training curve")
    columns = min(2, len(quantities))
    rows = -(-len(quantities) // columns)
    figure, axes = canvas(6.4 if columns == 1 else 10.0, 3.2 * rows, theme, columns, rows)
    for axis, quantity in zip(axes, quantities, strict=False):
        for index, (name, series) in enumerate(curves.items()):
            if quantity not in series:
                continue
            colour, style = theme.run(index)
            x, y = (np.asarray(values, dtype=float) for values in series[quantity])
            axis.plot(x, y, color=colour, linestyle=style, linewidth=1.7, label=printable(name))
        label_axes(axis, theme, x="step", title=quantity)
        # A first value orders above the last hides the whole rest of a linear axis.
        drawn = np.concatenate(
            [np.asarray(s[quantity][1], dtype=float) for s in curves.values() if quantity in s]
        )
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) and drawn.min() > 0 and drawn.max() / drawn.min() > 30:
            axis.set_yscale("log")
        add_legend(axis, theme, loc="best")
    for axis in axes[len(quantities) :]:
        axis.set_visible(False)
    return figure
