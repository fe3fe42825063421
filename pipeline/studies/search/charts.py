"""The charts of a search's report: Optuna's own, made to be read in a page, with the words that stand for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.evaluation.inline import data_uri
from pipeline.evaluation.plots.canvas import TYPE, canvas, render
from pipeline.evaluation.plots.palette import LIGHT
from pipeline.studies.search.compare import best, default_trial, upper_fence
from pipeline.studies.search.importance import FEW_TRIALS, Importance, common_step, importance
from pipeline.studies.search.optuna_study import objectives, quiet, rebuild
from pipeline.studies.search.trials import Search

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_AXES = 8
"""Keys that parallel coordinates can show and stay readable; the others are in the panels per key."""

PANELS = 3
"""Keys side by side in a row of panels."""

NME = "validation NME, %"


@dataclass(frozen=True)
class Chart:
    """A chart, or why there is none.

    Attributes:
        title: Its heading.
        alt: What it shows, in words.
        note: What stands below it, or in its place.
        images: Data URIs, top to bottom; none where there is nothing to draw.
        wide: Whether it takes the page's whole width.
    """

    title: str
    alt: str
    note: str
    images: tuple[str, ...]
    wide: bool = False


def charts(search: Search) -> list[Chart]:
    """What can be drawn of a search."""
    readings = _readings(search)
    found = [_history(search), _curves(search), *map(_importance, readings)]
    # The most important keys first; in the config's order where nobody knows.
    shares = next((i.shares for i in readings if i.shares is not None), {})
    keys = sorted(_varied(search), key=lambda key: -shares.get(key, 0.0))
    if keys:
        found += [_parallel(search, keys), _slices(search, keys)]
    return [chart for chart in found if chart is not None]


def _history(search: Search) -> Chart | None:
    from matplotlib.ticker import MaxNLocator
    from optuna.visualization.matplotlib import plot_optimization_history as plot

    values = objectives(search)
    if not values:
        return None
    number, lowest = min(values.items(), key=lambda item: item[1])
    alt = f"Objective of each finished trial in order. The lowest is {lowest:.3f} % in trial {number}."
    note = " Pruned ones are left out: their error is of a shorter training." if search.of("pruned") else ""

    def draw() -> Axes:
        axis = plot(rebuild(search), target_name=NME)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(["a trial", "the lowest so far"])
        return axis

    return Chart("History", alt, _finished(search) + note, (_image(draw),))


def _curves(search: Search) -> Chart | None:
    from optuna.visualization.matplotlib import plot_intermediate_values as plot

    study = rebuild(search)
    drawn = [t for t in study.trials if t.state.name in {"COMPLETE", "PRUNED"} and t.intermediate_values]
    if not drawn:
        return None
    alt = (
        f"Best validation NME so far against the step of {len(drawn)} trials, finished and pruned ones apart."
    )
    note = "Failed trials are left out." if search.of("failed") else ""
    return Chart("Learning curves", alt, note, (_image(lambda: _by_state(plot(study), search)),))


def _by_state(axis: Axes, search: Search) -> Axes:
    """Optuna's curves in colours that say how a trial ended, in place of one per trial, and a legend of these."""
    trials = {f"Trial{t.number}": t for t in search.trials}
    winner, default = best(search), default_trial(search)
    styles: dict[str, dict[str, Any]] = {
        "best": {"color": LIGHT.run(2)[0], "linewidth": 2.4, "zorder": 5},
        "the config's own values": {"color": LIGHT.run(3)[0], "linewidth": 2, "linestyle": "--", "zorder": 4},
        "finished": {"color": LIGHT.run(0)[0], "linewidth": 1.2, "zorder": 3},
        "pruned": {"color": "#9aa3b0", "linewidth": 0.8, "zorder": 2},
    }
    drawn = {}
    for line in axis.get_lines():
        trial = trials[str(line.get_label())]
        name = "best" if trial is winner else "the config's own values" if trial is default else trial.state
        line.set(**styles[name], marker="")
        drawn[name] = line
    names = [name for name in styles if name in drawn]
    axis.legend([drawn[name] for name in names], names)
    axis.set(xlabel="step", ylabel="best validation NME so far, %", yscale="log")
    return axis


def _readings(search: Search) -> list[Importance]:
    """Importance at the end and, where trials were pruned, as far as all were trained."""
    if not search.trials:
        return []
    step = common_step(search)
    return [importance(search), *([importance(search, step)] if step is not None else [])]


def _importance(found: Importance) -> Chart:
    where = "at the end" if found.step is None else f"at step {found.step:,}"
    title = f"Importance {where}"
    if found.shares is None:
        return Chart(title, "", f"Nothing to show: {found.reason}.", ())
    percent = {key: 100 * share for key, share in found.shares.items()}
    words = ", ".join(f"{key} {share:.0f} %" for key, share in percent.items())
    alt = f"Share of the objective's variance {where} that each key explains: {words}."
    note = "Finished trials." if found.step is None else f"{found.trials} trials, pruned ones too."
    if found.hint_only:
        note += f" With {found.trials} trials this is a hint; {FEW_TRIALS} and more make it a finding."

    def draw() -> Axes:
        # Optuna's plot_param_importances would grow the forest a second time.
        _, (axis,) = canvas(7, 4, LIGHT)
        axis.bar_label(axis.barh(list(percent), list(percent.values())), fmt="%.0f", padding=3)
        axis.invert_yaxis()
        axis.set_xlabel("share of the objective's variance, %")
        return axis

    return Chart(title, alt, note, (_image(draw),))


def _parallel(search: Search, keys: list[str]) -> Chart:
    from optuna.visualization.matplotlib import plot_parallel_coordinate as plot

    shown, left_out = keys[:MOST_AXES], len(keys[MOST_AXES:])
    alt = f"Parallel coordinates of the finished trials over {', '.join(shown)}, coloured by objective."
    more = f" {left_out} more keys, of less importance, are left out." if left_out else ""

    def draw() -> Axes:
        axis = plot(rebuild(search), shown, target_name=NME)
        axis.collections[0].set_cmap("cividis")  # Optuna's own fades into the background
        return axis

    image = _image(draw, width=min(16, max(11, 2.5 + 2.1 * len(shown))), height=5.5)
    return Chart("All keys at once", alt, _finished(search) + more, (image,), wide=True)


def _slices(search: Search, keys: list[str]) -> Chart:
    from optuna.visualization.matplotlib import plot_slice as plot

    alt = f"Objective of the finished trials against each of {', '.join(keys)}."
    constant = [key for key in search.space if key not in keys]
    note = f" Not shown, as they did not vary: {', '.join(constant)}." if constant else ""
    study = rebuild(search)

    def draw(row: list[str]) -> Any:
        panels = plot(study, row, target_name=NME)
        np.ravel(panels)[0].figure.axes[-1].remove()  # a colour bar in every row; the note says what it says
        for panel in np.ravel(panels):
            if search.space[panel.get_xlabel()].type == "choice":
                panel.tick_params(axis="x", rotation=20)
        return panels

    rows = [keys[i : i + PANELS] for i in range(0, len(keys), PANELS)]
    images = tuple(_image(partial(draw, row), width=5.7 * len(row), height=3.8) for row in rows)
    return Chart("Key by key", alt, f"{_finished(search)} The darker, the later.{note}", images, wide=True)


def _finished(search: Search) -> str:
    """Which trials a chart shows, and what became of those that would have stretched its axis."""
    values = list(objectives(search).values())
    fence = upper_fence(values) if values else 0.0
    above = sum(value > fence for value in values)
    return "Finished trials." + (f" {above} above {fence:.2f} % (outliers) are drawn there." if above else "")


def _varied(search: Search) -> list[str]:
    """Keys of which the finished trials have more than one value; none where there is nothing to compare."""
    known = objectives(search)
    trials = [t for t in search.trials if t.number in known]
    # Told apart as text: true and 1 are different values of a choice.
    return [key for key in search.space if len({repr(t.values[key]) for t in trials}) > 1]


def _image(draw: Callable[[], Any], width: float = 8, height: float = 4.6) -> str:
    """One of Optuna's charts as a data URI, its size in inches."""
    from matplotlib import pyplot as plt
    from matplotlib.text import Text

    # Optuna draws by pyplot and sets a style for the whole process. Names and values are never typeset as mathematics.
    with quiet(), plt.ioff(), plt.rc_context({"text.parse_math": False, "savefig.bbox": "tight"}):
        figure = np.ravel(draw())[0].figure
        figure.set_size_inches(width, height)
        figure.suptitle("")
        for text in figure.findobj(Text):
            text.set_fontsize(TYPE)
        for axis in figure.axes:
            axis.set_title("")
            axis.set_title("", loc="left")
            _plain_log(axis)
        try:
            return data_uri("image/svg+xml", render(figure, "svg"))
        finally:
            plt.close(figure)


def _plain_log(axis: Axes) -> None:
    """Few and plain numbers where an axis is logarithmic: 5, 10, 20."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter

    for one in (axis.xaxis, axis.yaxis):
        if one.get_scale() != "log":
            continue
        low, high = sorted(one.get_view_interval())
        subs = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
        one.set_major_locator(LogLocator(10, subs, numticks=6) if high > 5 * low else MaxNLocator(5))
        one.set_major_formatter(FormatStrFormatter("%g"))
        one.set_minor_formatter(NullFormatter())
