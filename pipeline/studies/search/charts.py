"""The charts of a search's report: which, in which order, with the words that stand for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.inline import themed
from pipeline.evaluation.plots.palette import Theme
from pipeline.studies.search import plots
from pipeline.studies.search.compare import best
from pipeline.studies.search.importance import FEW_TRIALS, Importance, common_step, importance
from pipeline.studies.search.scales import show
from pipeline.studies.search.trials import Search

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_AXES = 10
"""Keys that parallel coordinates can show and stay readable; the others are in the panels per key."""


def charts(search: Search) -> list[dict[str, Any]]:
    """What can be drawn of a search.

    Returns:
        Per chart: ``title``, ``alt``, ``note`` (below it, or empty), ``wide``, ``light`` and ``dark``. Where there is nothing to
        draw the latter two are None, and ``note`` says why.
    """
    found = []
    winner = best(search)
    states = ", ".join(f"{len(search.of(s))} {s}" for s in ("finished", "pruned", "failed"))
    if search.of("finished", "pruned"):
        alt = f"Objective of each trial in order: {states}."
        if winner is not None:
            alt += f" The lowest of the finished is {winner.objective:.3f} % in trial {winner.number}."
        note = "" if not search.of("pruned") else "A pruned trial's figure is of a shorter training."
        found.append(_chart("History", alt, lambda t: plots.history_figure(search, theme=t), note))
    if any(t.curve for t in search.trials):
        alt = f"Best validation NME so far against the step of {len(search.trials)} trials: {states}."
        found.append(_chart("Learning curves", alt, lambda t: plots.curves_figure(search, theme=t)))
    readings = _readings(search)
    found.append(_importance(readings))
    keys = _keys(search, readings)
    if winner is not None and len(search.of("finished", "pruned")) > 1:
        values = ", ".join(f"{key} {show(value)}" for key, value in winner.values.items())
        alt = f"Parallel coordinates of {states} trials over {', '.join(keys)}. The best has {values}."
        left_out = len(search.space) - len(keys)
        note = f"{left_out} more keys, of less importance, are left out." if left_out else ""
        drawn = _chart(
            "All keys at once", alt, lambda t: plots.parallel_figure(search, keys, theme=t), note, wide=True
        )
        found.append(drawn)
        alt = f"Objective of the finished trials against each of {', '.join(search.space)}."
        found.append(_chart("Key by key", alt, lambda t: plots.slices_figure(search, theme=t), wide=True))
    return found


def _chart(
    title: str, alt: str, draw: Callable[[Theme], Figure], note: str = "", wide: bool = False
) -> dict[str, Any]:
    return {"title": title, "alt": alt, "note": note, "wide": wide, **themed(draw)}


def _readings(search: Search) -> list[tuple[str, Importance]]:
    """Importance at the end and, where trials were pruned, as far as all were trained."""
    if not search.trials:
        return []
    at_end = importance(search)
    found = [(f"at the end, {at_end.trials} finished trials", at_end)]
    step = common_step(search)
    if step is not None:
        early = importance(search, step)
        found.append((f"at step {step:,}, {early.trials} trials, pruned ones too", early))
    return found


def _importance(readings: list[tuple[str, Importance]]) -> dict[str, Any]:
    title = "Importance"
    known = [(label, i) for label, i in readings if i.shares is not None]
    missing = " ".join(
        f"{'At the end' if i.step is None else f'At step {i.step:,}'}: {i.reason}."
        for _, i in readings
        if i.reason is not None
    )
    if not known:
        note = missing or "There are no trials."
        return {"title": title, "alt": "", "note": note, "wide": False, "light": None, "dark": None}
    words = []
    for label, i in known:
        shares = ", ".join(f"{key} {100 * share:.0f} %" for key, share in (i.shares or {}).items())
        words.append(f"{label}: {shares}")
    few = [i.trials for _, i in known if i.hint_only]
    hint = f"With {min(few)} trials this is a hint; {FEW_TRIALS} and more make it a finding." if few else ""
    alt = f"Share of the objective's variance that each key explains, {'; '.join(words)}."
    note = " ".join(part for part in (hint, missing) if part)
    return _chart(title, alt, lambda t: plots.importance_figure(known, theme=t), note)


def _keys(search: Search, readings: list[tuple[str, Importance]]) -> list[str]:
    """The most important keys first; in the config's order where nobody knows."""
    order = next((list(i.shares) for _, i in readings if i.shares is not None), [])
    return [*order, *(key for key in search.space if key not in order)][:_MOST_AXES]
