"""A search as it went: the objective trial by trial, and every trial's learning curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.evaluation.plots.canvas import add_legend, canvas, label_axes
from pipeline.evaluation.plots.palette import LIGHT, Theme
from pipeline.studies.search.compare import best, default_trial, running_best
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
    plain_log,
    pruned_colour,
    top_markers,
    whole_numbers,
)
from pipeline.studies.search.trials import Search, Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def history_figure(search: Search, *, theme: Theme = LIGHT) -> Figure:
    """Objective by trial number, states told apart by marker and colour, the best so far as a step line.

    Args:
        search: Any number of trials, failed ones included: they stand at the upper edge.
        theme: Colours.
    """
    figure, (axis,) = canvas(6.4, 4.0, theme)
    finished, pruned, failed = search.of("finished"), search.of("pruned"), search.of("failed")
    edge = frame(axis, objectives([*finished, *pruned]))
    styles: tuple[tuple[str, list[Trial], dict[str, Any]], ...] = (
        (
            "pruned, where it stopped",
            pruned,
            {"marker": "v", "facecolors": "none", "edgecolors": pruned_colour(theme), "s": 26},
        ),
        ("finished", finished, {"marker": "o", "color": colour(theme, FINISHED), "s": 30}),
    )
    beyond: list[int] = []
    for name, trials, style in styles:
        known = [(t.number, t.objective) for t in trials if t.objective is not None]
        inside = [(n, v) for n, v in known if edge is None or v <= edge]
        beyond += [n for n, v in known if edge is not None and v > edge]
        if trials:
            label = f"{name} ({len(trials)})"
            axis.scatter([n for n, _ in inside], [v for _, v in inside], label=label, zorder=3, **style)
    label = f"above the axis ({len(beyond)})"
    top_markers(axis, beyond, ABOVE, marker="^", color=theme.ink, s=26, label=label)
    crosses = {"marker": "x", "color": colour(theme, FAILED), "s": 30, "label": f"failed ({len(failed)})"}
    top_markers(axis, [t.number for t in failed], FAILED_HEIGHT, **crosses)
    line = running_best(search)
    if line:
        last = max(t.number for t in search.trials)
        x, y = zip(*line, (last, line[-1][1]), strict=True)
        axis.step(x, y, where="post", color=colour(theme, BEST), linewidth=2, label="best so far", zorder=2)
    default = default_trial(search)
    own = [t for t in finished if t is default and (edge is None or (t.objective or 0.0) <= edge)]
    if own:
        axis.scatter(
            [t.number for t in own],
            objectives(own),
            marker="D",
            s=64,
            facecolors="none",
            edgecolors=colour(theme, DEFAULT),
            linewidths=1.8,
            label="the config's own values",
            zorder=5,
        )
    numbers = [t.number for t in search.trials] or [0]
    pad = max(0.5, 0.02 * (max(numbers) - min(numbers)))
    axis.set_xlim(min(numbers) - pad, max(numbers) + pad)
    whole_numbers(axis)
    label_axes(axis, theme, x="trial", y="validation NME, %")
    add_legend(axis, theme, loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2)
    return figure


def curves_figure(search: Search, *, theme: Theme = LIGHT) -> Figure:
    """Best validation NME so far against the step, of all trials; pruned ones are faint and end where they were stopped.

    Args:
        search: Trials without a curve are left out.
        theme: Colours.

    Raises:
        ValueError: No trial has a curve.
    """
    drawn = [t for t in search.trials if t.curve]
    if not drawn:
        raise ValueError("no trial has a curve")
    figure, (axis,) = canvas(6.4, 4.0, theme)
    winner, default = best(search), default_trial(search)
    ends = {"pruned": "v", "failed": "x", "running": ">", "finished": ""}
    shades = {
        "pruned": pruned_colour(theme),
        "failed": colour(theme, FAILED),
        "running": theme.ink,
        "finished": colour(theme, FINISHED),
    }
    labelled: set[str] = set()
    for trial in sorted(drawn, key=lambda t: (t.state == "finished", t.number)):
        x, y = zip(*trial.curve, strict=True)
        special: dict[str, Any] = {
            "color": shades[trial.state],
            "linewidth": 1.0,
            "linestyle": "-",
            "zorder": 2.0,
        }
        name: str = trial.state
        if default is not None and trial.number == default.number:
            name = "the config's own values"
            special = {"color": colour(theme, DEFAULT), "linewidth": 2.0, "linestyle": "--", "zorder": 4.0}
        if winner is not None and trial.number == winner.number:
            name = f"best (trial {trial.number})"
            special = {"color": colour(theme, BEST), "linewidth": 2.4, "linestyle": "-", "zorder": 5.0}
        crowd = min(1.0, 40 / len(drawn)) ** 0.5
        alpha = 1.0 if name not in shades else crowd * (0.55 if trial.state == "pruned" else 0.7)
        label = None if name in labelled else name
        labelled.add(name)
        axis.step(x, y, where="post", alpha=alpha, label=label, **special)
        if ends[trial.state]:
            axis.plot(x[-1:], y[-1:], ends[trial.state], color=special["color"], markersize=5, alpha=alpha)
    values = [v for t in drawn for _, v in t.curve]
    if min(values) > 0 and max(values) / min(values) > 4:
        plain_log(axis)
    whole_numbers(axis)
    label_axes(axis, theme, x="step", y="best validation NME so far, %")
    add_legend(axis, theme, loc="upper center", bbox_to_anchor=(0.45, -0.16), ncols=2)
    return figure
