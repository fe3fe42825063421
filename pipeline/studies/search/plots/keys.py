"""What the keys did: their importance, and the objective against each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.evaluation.plots.canvas import add_legend, canvas, label_axes, printable
from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.studies.search.compare import best, default_trial
from pipeline.studies.search.importance import Importance
from pipeline.studies.search.plots.drawing import (
    ABOVE,
    BEST,
    DEFAULT,
    FAILED,
    FAILED_HEIGHT,
    FINISHED,
    colour,
    frame,
    objectives,
    pruned_colour,
    top_markers,
)
from pipeline.studies.search.scales import Scale, scale_of, wrapped
from pipeline.studies.search.trials import Search, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def importance_figure(found: Sequence[tuple[str, Importance]], *, theme: Theme = LIGHT) -> Figure:
    """Shares of the objective's variance as bars, one series per reading.

    Args:
        found: (label, importance with shares); the first gives the order.
        theme: Colours.

    Raises:
        ValueError: None of them has shares.
    """
    series = [(label, i.shares) for label, i in found if i.shares is not None]
    if not series:
        raise ValueError("no importance has shares")
    keys = list(dict.fromkeys(key for _, shares in series for key in shares))
    figure, (axis,) = canvas(6.4, 1.1 + max(0.45, 0.26 * len(series)) * len(keys), theme)
    thickness = 0.8 / len(series)
    for index, (label, shares) in enumerate(series):
        rows = [row + (index - (len(series) - 1) / 2) * thickness for row in range(len(keys))]
        percent = [100 * shares.get(key, 0.0) for key in keys]
        shade = colour(theme, FINISHED) if index == 0 else pruned_colour(theme)
        bars = axis.barh(rows, percent, thickness * 0.9, color=shade, label=printable(label))
        # No bar and no number for a key that never varied among these trials: unknown, not zero.
        texts = [
            f"{p:.0f}" if key in shares else "did not vary" for key, p in zip(keys, percent, strict=True)
        ]
        axis.bar_label(bars, texts, padding=3, fontsize=8, color=theme.ink)
    axis.set_yticks(range(len(keys)), [wrapped(key, 24) for key in keys], parse_math=False)
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.grid(visible=False, axis="y")
    label_axes(axis, theme, x="share of the objective's variance, %")
    add_legend(axis, theme, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=1)
    return figure


def slices_figure(search: Search, keys: Sequence[str] | None = None, *, theme: Theme = LIGHT) -> Figure:
    """Objective of the finished trials against each key; failed ones at the upper edge.

    Args:
        search: With at least one trial.
        keys: Which, in order; default: all of the space.
        theme: Colours.
    """
    keys = list(search.space) if keys is None else list(keys)
    columns = min(3, len(keys))
    rows = -(-len(keys) // columns)
    figure, axes = canvas(3.4 * columns + 0.6, 2.7 * rows + 0.3, theme, columns, rows)
    finished, failed = search.of("finished"), search.of("failed")
    winner, default = best(search), default_trial(search)
    for index, (axis, key) in enumerate(zip(axes, keys, strict=False)):
        scale = scale_of(search.space[key], [t.values[key] for t in search.trials])
        edge = frame(axis, objectives(finished))

        def places(trials: Sequence[Trial], key: str = key, scale: Scale = scale) -> list[float]:
            return [scale.position(t.values[key]) for t in trials]

        inside = [t for t in finished if edge is None or (t.objective or 0.0) <= edge]
        beyond = [t for t in finished if t not in inside]
        axis.scatter(
            places(inside),
            objectives(inside),
            s=20,
            alpha=0.75,
            linewidths=0,
            color=colour(theme, FINISHED),
            label="finished",
        )
        top_markers(axis, places(beyond), ABOVE, marker="^", s=24, color=theme.ink, label="above the axis")
        top_markers(
            axis, places(failed), FAILED_HEIGHT, marker="x", s=24, color=colour(theme, FAILED), label="failed"
        )
        for trial, meaning, marker, label in (
            (winner, BEST, "*", "best"),
            (default, DEFAULT, "D", "the config's own values"),
        ):
            if trial in inside:
                axis.scatter(
                    places([trial]),
                    objectives([trial]),
                    marker=marker,
                    s=130 if marker == "*" else 70,
                    facecolors=colour(theme, meaning) if marker == "*" else "none",
                    edgecolors=colour(theme, meaning),
                    linewidths=1.6,
                    zorder=4,
                    label=label,
                )
        ticks = scale.ticks(5)
        axis.set_xticks([place for place, _ in ticks], [text for _, text in ticks], parse_math=False)
        if scale.categories is not None and sum(len(text) for _, text in ticks) > 24:
            for text in axis.get_xticklabels():
                text.set_rotation(20)
                text.set_horizontalalignment("right")
        axis.set_xlim(-0.07, 1.07)
        label_axes(axis, theme, x=key, y="validation NME, %" if index % columns == 0 else "")
    for axis in axes[len(keys) :]:
        axis.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=4, frameon=False, labelcolor=theme.ink, fontsize=9
        )  # fmt: skip
    return figure
