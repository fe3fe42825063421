"""What the charts of a search share: the meaning of colours, and an axis of objectives that diverged runs do not stretch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.studies.search.compare import upper_fence
from pipeline.studies.search.trials import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FINISHED, FAILED, BEST, DEFAULT = 0, 1, 2, 3
"""Which of a theme's run colours stands for what, in every chart of a search."""

ABOVE, FAILED_HEIGHT = 0.91, 0.97
"""Shares of an axis' height where trials above it, and failed ones, are marked: they have no place on it."""


def colour(theme: Theme, meaning: int) -> str:
    """The colour of finished trials, failed ones, the best or the default."""
    return theme.run(meaning)[0]


def pruned_colour(theme: Theme) -> str:
    """Grey, to be read second, yet visible on both backgrounds."""
    return "#8a94a3" if theme is LIGHT or theme.background == LIGHT.background else "#7d8896"


def objectives(trials: Sequence[Trial]) -> list[float]:
    """Objectives of trials that have one."""
    return [t.objective for t in trials if t.objective is not None]


def ceiling(values: Sequence[float]) -> float | None:
    """Largest objective to be drawn at its place: above it lie runs that diverged; None where all may be."""
    if not values:
        return None
    fence = upper_fence(values)
    return max(v for v in values if v <= fence) if max(values) > fence else None


def frame(axis: Axes, values: Sequence[float]) -> float | None:
    """Scale an axis to objectives, with room at the top for what lies above it and for failed trials.

    Returns:
        Objectives above this go to height ``ABOVE``; None where there are none.
    """
    top = ceiling(values)
    low, high = min(values, default=0.0), max((v for v in values if top is None or v <= top), default=1.0)
    if low > 0 and high / low > 3:
        plain_log(axis)
        ratio = high / low
        axis.set_ylim(low / ratio**0.08, high * ratio**0.16)
    else:
        # Never so close that a hundredth of a per cent looks like a difference.
        least = max(0.02 * high, 1e-9)
        axis.set_ylim(low - max(0.08 * (high - low), least), high + max(0.16 * (high - low), 2 * least))
    return top


def top_markers(axis: Axes, x: Sequence[float], height: float, **style: Any) -> None:
    """Markers at a share of the axis' height, whatever its scale."""
    if len(x):
        axis.scatter(x, [height] * len(x), transform=axis.get_xaxis_transform(), zorder=4, **style)


def plain_log(axis: Axes) -> None:
    """A logarithmic axis with numbers as people write them: 5, 10, 20."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 3, 5, 7)))
    axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.tick_params(which="minor", length=0)


def whole_numbers(axis: Axes) -> None:
    """Ticks of the x axis at integers only."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
