"""Charts of a study: error against unlabelled faces, against labelled faces, and the gains with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.plots.canvas import TYPE, add_legend, canvas, label_axes, printable
from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.studies.scaling.analysis import Analysis, Level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CROWDED = 4
"""More lines than these get bars in place of bands, and no single seeds."""


def unlabelled_figure(analysis: Analysis, labelled: int, *, theme: Theme = LIGHT) -> Figure:
    """Error against unlabelled faces at one label budget; logarithmic from the smallest number on, linear below.

    A line per method and width, the band from the lowest to the highest seed, seeds as faint points. A fitted curve
    is dashed, with its 95 % interval hatched; flat ones are not drawn.

    Args:
        analysis: The study.
        labelled: The budget; lines that lack it are left out but keep their colours.
        theme: Colours.
    """
    groups = [g for g in analysis.study.groups if g.labelled == labelled]
    figure, (axis,) = canvas(6.4, 4.2 + _room(len(groups)), theme)
    crowded = len(groups) > _CROWDED
    for group in groups:
        levels = [x for x in analysis.levels if x.group == group]
        if not levels:
            continue
        colour, style = theme.run(analysis.series.index(group.series))
        x = [level.unlabelled for level in levels]
        _line(axis, x, levels, colour, style, group.series, crowded)
        curve = next(c for c in analysis.curves if c.group == group)
        if curve.status == "fitted" and not crowded:
            n, error, low, high = np.array(curve.band).T
            axis.plot(n, error, color=colour, linestyle=(0, (4, 3)), linewidth=1.1, zorder=2)
            axis.fill_between(
                n, low, high, facecolor="none", edgecolor=colour, alpha=0.35, hatch="////", linewidth=0
            )
    counts = sorted({x.unlabelled for x in analysis.levels if x.group in groups})
    _count_axis(axis, counts)
    _no_drama(axis)
    label_axes(axis, theme, x="unlabelled faces", y="NME, %", title=f"{labelled:,} labelled faces")
    if len(analysis.series) > 1:
        _legend(axis, theme, len(groups))
    return figure


def _line(
    axis: Axes, x: list[int], levels: list[Level], colour: str, style: str, name: str, crowded: bool
) -> None:
    means = np.array([level.mean for level in levels])
    low = np.array([min(level.errors) for level in levels])
    high = np.array([max(level.errors) for level in levels])
    axis.plot(
        x,
        means,
        color=colour,
        linestyle=style,
        linewidth=2,
        marker="o",
        markersize=5,
        label=printable(name),
        zorder=4,
    )
    if crowded:
        axis.errorbar(
            x, means, yerr=[means - low, high - means], color=colour, fmt="none", capsize=2, alpha=0.6
        )
        return
    axis.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
    for at, level in zip(x, levels, strict=True):
        axis.scatter(
            [at] * len(level.errors), level.errors, color=colour, s=9, alpha=0.45, linewidths=0, zorder=3
        )


def _count_axis(axis: Axes, counts: list[int]) -> None:
    """0 and powers of ten on one axis, ticks at the measured numbers."""
    positive = [count for count in counts if count]
    if not positive:
        axis.set_xticks([0], ["0"])
        return
    axis.set_xscale("symlog", linthresh=positive[0], linscale=0.5)
    axis.set_xlim(-0.12 * positive[0], positive[-1] * 1.25)
    # Neighbours less than a seventh of the axis apart would run into each other.
    span = 0.5 + np.log10(positive[-1] / positive[0])
    shown, last = [], -1.0
    for count in reversed(counts):
        place = (0.5 + np.log10(count / positive[0])) / span if count else 0.0
        if last < 0 or last - place > 0.11 or count == 0:
            shown.append(count)
            last = place
    axis.set_xticks(shown, [short(count) for count in shown])
    axis.set_xticks([], minor=True)


def _no_drama(axis: Axes) -> None:
    """An error axis of at least a twelfth of the error: on a narrower one noise looks like an effect."""
    low, high = axis.get_ylim()
    middle = (low + high) / 2
    half = max((high - low) / 2, middle / 24)
    axis.set_ylim(middle - half, middle + half)


def short(count: int) -> str:
    """A number of faces as few characters, never as another number: 25,531 is 25.5k."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1000:.3g}k" if count < 999_500 else f"{count / 1e6:.3g}M"


def _room(lines: int) -> float:
    """Height of a legend below a chart, inches."""
    return 0.2 * -(-lines // 2) if lines > _CROWDED else 0.0


def _legend(axis: Axes, theme: Theme, lines: int) -> None:
    if lines > _CROWDED:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 2}
        add_legend(axis, theme, handlelength=3.2, **below)
    elif lines:
        add_legend(axis, theme, loc="best")


def labelled_figure(analysis: Analysis, *, theme: Theme = LIGHT) -> Figure:
    """Error against labelled faces, both logarithmic: supervised hollow and dotted, filled with the most unlabelled faces."""
    from matplotlib.ticker import NullLocator, ScalarFormatter

    figure, (axis,) = canvas(6.4, 4.2 + _room(len(analysis.series)), theme)
    budgets = sorted({group.labelled for group in analysis.study.groups})
    for index, series in enumerate(analysis.series):
        colour, style = theme.run(index)
        own = [x for x in analysis.levels if x.group.series == series]
        most = max((x.unlabelled for x in own), default=0)
        for count in dict.fromkeys((0, most)):
            levels = sorted((x for x in own if x.unlabelled == count), key=lambda x: x.group.labelled)
            x, means = [level.group.labelled for level in levels], np.array([level.mean for level in levels])
            bars = np.abs(
                [[level.mean - min(level.errors), max(level.errors) - level.mean] for level in levels]
            )
            axis.errorbar(
                x,
                means,
                yerr=bars.T if len(levels) else None,
                color=colour,
                linestyle=style if count else ":",
                marker="o",
                markerfacecolor=colour if count else theme.background,
                markersize=5,
                linewidth=1.8,
                elinewidth=1,
                capsize=2,
                label=printable(series) if count == most else None,
            )
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(budgets, [short(budget) for budget in budgets])
    axis.xaxis.set_minor_locator(NullLocator())
    for ticks in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        ticks(ScalarFormatter())
    axis.tick_params(which="minor", colors=theme.ink, labelsize=TYPE, length=0)
    title = "dotted: supervised; else with the most unlabelled faces"
    label_axes(axis, theme, x="labelled faces", y="NME, %", title=title)
    if len(analysis.series) > 1:
        _legend(axis, theme, len(analysis.series))
    return figure


def gain_figure(analysis: Analysis, series: str, *, theme: Theme = LIGHT) -> Figure:
    """The relative gains of one method and width with their intervals; filled where shown after correction.

    A grey bar behind each spans the gains too small to be found four times in five. Series keep their colours, and
    all charts of a study one axis.
    """
    own = [c for c in analysis.comparisons if c.group.series == series]
    figure, (axis,) = canvas(6.4, 1.25 + 0.34 * max(1, len(own)), theme)
    colour = theme.run(analysis.series.index(series))[0]
    for row, c in enumerate(own):
        if c.detectable is not None:
            reach = 100 * c.detectable / c.supervised
            axis.barh(row, 2 * reach, 0.62, left=-reach, color=theme.faint, alpha=0.6, zorder=1)
        if c.relative_interval:
            axis.plot(
                c.relative_interval, [row, row], color=colour, linewidth=2, solid_capstyle="butt", zorder=3
            )
        shown = c.verdict in {"gain", "harm"}
        axis.plot(
            c.relative,
            row,
            "o",
            color=colour,
            markerfacecolor=colour if shown else theme.background,
            markersize=7,
            markeredgewidth=1.8,
            zorder=4,
        )
    axis.axvline(0, color=theme.ink, linewidth=1, zorder=2)
    extents = [abs(v) for c in analysis.comparisons for v in (*(c.relative_interval or ()), c.relative)]
    limit = 1.12 * max([*extents, 0.5])
    axis.set_xlim(-limit, limit)
    axis.set_ylim(max(1, len(own)) - 0.5, -0.5)
    axis.set_yticks(range(len(own)), [f"{c.group.labelled:,} + {short(c.unlabelled)}" for c in own])
    axis.grid(visible=False, axis="y")
    title = f"{series}: labelled + unlabelled faces"
    label_axes(axis, theme, x="gain, % of the supervised error (below 0: harm)", title=title)
    return figure
