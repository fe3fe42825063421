"""A search in a terminal: its running and its best trials in a table, explained failures below."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.studies.search.compare import best, default_trial, first_line
from pipeline.studies.search.trials import STATES, Search
from pipeline.studies.search.words import duration, short_names, show
from pipeline.words import counted

_STYLES = {"finished": "green", "running": "cyan", "pruned": "dim", "failed": "red"}
_FIXED = 42
"""Characters of the columns that are always there."""


def counts(search: Search) -> str:
    """``12 of 60 trials: 5 finished, 2 running, 4 pruned, 1 failed``."""
    parts = [f"{count} {state}" for state in STATES if (count := len(search.of(state)))]
    return f"{len(search.trials)} of {counted(search.planned, 'trial')}" + (
        f": {', '.join(parts)}" if parts else ""
    )


def search_table(search: Search, width: int = 100, *, plain: bool = False, top: int = 10) -> Table:
    """The running and the best finished trials, counts above, explained failures below.

    Args:
        search: At any point of its life.
        width: Characters there are; keys that do not fit as columns share one.
        plain: ASCII, for files and logs.
        top: Finished trials shown.
    """
    # Text, never str: Rich would read square brackets in a value as mark-up.
    table = Table(
        title=Text(f"{search.name} · {counts(search)}", style="bold"),
        title_justify="left",
        caption=_caption(search, top),
        caption_justify="left",
        box=box.ASCII if plain else box.ROUNDED,
    )
    rows = search.of("running") + sorted(search.of("finished"), key=lambda t: (t.objective, t.number))[:top]
    names, winner, default = short_names(search.space), best(search), default_trial(search)
    needed = {
        key: 3 + max([len(name), *(len(show(t.values[key], 3)) for t in rows)]) for key, name in names.items()
    }
    apart = _FIXED + sum(needed.values()) <= width
    for head in ("Trial", "State", "NME %", "Step", "Time"):
        table.add_column(head, justify="left" if head == "State" else "right", no_wrap=True)
    for key in search.space if apart else ():
        table.add_column(Text(names[key]), justify="right", no_wrap=True)
    if not apart:
        table.add_column("Values", overflow="fold")
    for trial in rows:
        mark = "*" if default is not None and trial.number == default.number else ""
        strong = "bold green" if winner is not None and trial.number == winner.number else ""
        cells = [
            Text(f"{trial.number}{mark}", style=strong),
            Text(trial.state, style=_STYLES[trial.state]),
            Text("" if trial.objective is None else f"{trial.objective:.3f}", style=strong),
            Text(f"{trial.steps:,}"),
            Text(duration(trial.seconds)),
        ]
        shown = {key: show(trial.values[key], 3) for key in search.space}
        if apart:
            cells += [Text(shown[key]) for key in search.space]
        else:
            cells.append(Text("  ".join(f"{names[key]}={value}" for key, value in shown.items())))
        table.add_row(*cells)
    return table


def _caption(search: Search, top: int) -> Text:
    lines = []
    finished, failed = search.of("finished"), search.of("failed")
    if len(finished) > top:
        lines.append(f"{len(finished) - top} more finished, none better.")
    default = default_trial(search)
    if default is not None:
        lines.append(f"* the config's own values{'' if default in finished else f' ({default.state})'}")
    lines += [f"trial {trial.number} failed: {first_line(trial.reason, 160)}" for trial in failed[:5]]
    if len(failed) > 5:
        lines.append(f"and {len(failed) - 5} more failed")
    return Text("\n".join(lines))
