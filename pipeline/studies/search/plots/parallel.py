"""Parallel coordinates: one axis per key, one line per trial, which ends on the scale of the objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.plots.canvas import add_legend, canvas, label_axes
from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.studies.search.compare import best, default_trial
from pipeline.studies.search.plots.drawing import (
    BEST,
    DEFAULT,
    FAILED,
    ceiling,
    colour,
    objectives,
    pruned_colour,
)
from pipeline.studies.search.scales import Scale, scale_of, wrapped
from pipeline.studies.search.trials import Search, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


def parallel_figure(search: Search, keys: Sequence[str] | None = None, *, theme: Theme = LIGHT) -> Figure:
    """All trials over all keys.

    Finished trials are coloured by their objective and run on to its scale at the right, which is the colour bar. Pruned trials
    have no objective that compares: they are faint and end at the last key; so do failed ones, dashed.

    Args:
        search: With at least one finished trial.
        keys: Which, in order from the left; default: all of the space.
        theme: Colours.

    Raises:
        ValueError: No trial finished.
    """
    finished = search.of("finished")
    if not finished:
        raise ValueError("no trial finished: nothing has an objective")
    keys = list(search.space) if keys is None else list(keys)
    figure, (axis,) = canvas(max(7.0, 1.75 * len(keys) + 2.4), 4.8, theme)
    scales = {key: scale_of(search.space[key], [t.values[key] for t in search.trials]) for key in keys}
    top = ceiling(objectives(finished))
    inside = [v for v in objectives(finished) if top is None or v <= top]
    low, high = min(inside), max(inside)
    scores = Scale(low, high)
    colours = _colours(theme)
    winner, default = best(search), default_trial(search)
    strength = min(0.9, max(0.35, 12 / len(finished)))

    def line(trial: Trial, **style: Any) -> None:
        exact = winner is not None and trial.number == winner.number
        y = [_jittered(scales[key], trial, key, exact) for key in keys]
        if trial.state == "finished" and trial.objective is not None:
            y.append(scores.position(min(trial.objective, high)))
        axis.plot(range(len(y)), y, solid_capstyle="round", **style)

    for trial in search.of("pruned"):
        line(trial, color=pruned_colour(theme), linewidth=0.8, alpha=0.3, zorder=1)
    for trial in search.of("failed"):
        line(trial, color=colour(theme, FAILED), linewidth=1.1, alpha=0.8, linestyle="--", zorder=2)
    # The good ones last, on top.
    for trial in sorted(finished, key=lambda t: -(t.objective or 0.0)):
        place = scores.position(min(trial.objective or 0.0, high))
        line(trial, color=colours(place), linewidth=1.4, alpha=strength, zorder=3)
    if default is not None and default.state == "finished" and default is not winner:
        line(default, color=colour(theme, DEFAULT), linewidth=2.2, linestyle=(0, (4, 2)), zorder=4)
    if winner is not None:
        line(winner, color=theme.background, linewidth=5.2, zorder=5)
        line(winner, color=colour(theme, BEST), linewidth=2.8, zorder=6)
    for index, key in enumerate(keys):
        _axis(axis, index, scales[key], theme)
    _colour_bar(axis, len(keys), scores, colours, theme, above=top is not None)
    axis.set_xlim(-0.35, len(keys) + 0.45)
    axis.set_ylim(-0.06, 1.06)
    axis.set_xticks(
        range(len(keys) + 1), [*(wrapped(k, 15) for k in keys), "validation\nNME, %"], parse_math=False
    )
    axis.tick_params(axis="x", pad=8)
    axis.set_yticks([])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    label_axes(axis, theme)
    _legend(axis, search, theme)
    return figure


def _colours(theme: Theme) -> Colormap:
    """Good trials stand out from the background, bad ones recede, without vanishing."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    # Cividis has neither the green of the best nor the orange of failures, and reads alike under every colour blindness.
    places = [0.02 + 0.86 * i / 255 for i in range(256)]
    if theme.background != LIGHT.background:
        places = [1.0 - 0.75 * i / 255 for i in range(256)]
    return ListedColormap([colormaps["cividis"](p) for p in places])


def _jittered(scale: Scale, trial: Trial, key: str, exact: bool) -> float:
    place = scale.position(trial.values[key])
    if exact or not scale.few:
        return place
    # Where few values are possible lines would hide one another; multiples of the golden ratio spread evenly.
    return place + 0.035 * ((trial.number * 0.6180339887) % 1 - 0.5)


def _axis(axis: Axes, x: int, scale: Scale, theme: Theme) -> None:
    axis.plot([x, x], [0, 1], color=theme.ink, linewidth=1.1, zorder=7)
    for place, text in scale.ticks():
        axis.plot([x - 0.03, x], [place, place], color=theme.ink, linewidth=1.1, zorder=7)
        axis.text(
            x - 0.05,
            place,
            text if len(text) <= 16 else text[:15] + "…",
            color=theme.ink,
            fontsize=8.5,
            ha="right",
            va="center",
            zorder=8,
            parse_math=False,
            bbox={"facecolor": theme.background, "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )


def _colour_bar(axis: Axes, x: int, scores: Scale, colours: Colormap, theme: Theme, *, above: bool) -> None:
    import numpy as np

    if scores.low != scores.high:
        strip = np.linspace(0, 1, 256)[:, None]
        axis.imshow(strip, extent=(x, x + 0.07, 0, 1), aspect="auto", origin="lower", cmap=colours, zorder=7)
    for place, text in scores.ticks():
        shown = f"≥ {text}" if above and place == 1 else text
        axis.text(x + 0.1, place, shown, color=theme.ink, fontsize=8.5, ha="left", va="center", zorder=8)


def _legend(axis: Axes, search: Search, theme: Theme) -> None:
    default = default_trial(search)
    winner = best(search)
    assert winner is not None  # some trial finished
    which = ", the config's own values" if default is winner else ""
    label = f"best (trial {winner.number}{which})"
    axis.plot([], [], color=colour(theme, BEST), linewidth=2.8, label=label)
    if default is not None and default.state == "finished" and default is not winner:
        style: dict[str, Any] = {"color": colour(theme, DEFAULT), "linewidth": 2.2, "linestyle": (0, (4, 2))}
        axis.plot([], [], label="the config's own values", **style)
    if search.of("pruned"):
        axis.plot([], [], color=pruned_colour(theme), linewidth=1.2, label="pruned")
    if search.of("failed"):
        axis.plot([], [], color=colour(theme, FAILED), linewidth=1.2, linestyle="--", label="failed")
    add_legend(axis, theme, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
