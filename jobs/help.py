"""``landmarks help``: the parts that a config can name, and what each takes; packaged ones and a user's own."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from jobs.tables import folding
from pipeline.describe import PartHelp, describe, kinds, summaries
from pipeline.errors import ConfigError, did_you_mean

_PLACES = {
    "discriminator": "unlabelled.objective.discriminator",
    "objective": "unlabelled.objective",
    "reader": "prepare.sets[].reader",
}
"""Where a config names a part of a kind, if not at the kind's own name."""


def show(kind: str | None, name: str | None, console: Console | None = None) -> None:
    """Print the kinds of parts, the parts of a kind, or one part's keys.

    Args:
        kind: Of part; None lists the kinds.
        name: Of the part, or a module of the user's own; None lists the packaged ones.
        console: Where to print.

    Raises:
        ConfigError: No such kind or part, with the nearest match.
    """
    console = console or Console()
    if kind is None:
        table = folding("kind", "named in a config at", box=None, pad_edge=False)
        for known in kinds():
            table.add_row(known, _PLACES.get(known, known))
        console.print(table)
        console.print("landmarks help KIND lists the parts, landmarks help KIND NAME what one takes")
        return
    if kind not in kinds():
        raise ConfigError(
            f"no kind of part is called '{kind}': {did_you_mean(kind, kinds())}known ones are {', '.join(kinds())}"
        )
    if name is None:
        table = folding(kind, "", box=None, pad_edge=False)
        for known, summary in summaries(kind).items():
            table.add_row(known, Text(summary))
        console.print(table)
        return
    _show_part(describe(kind, name), console)


def _show_part(part: PartHelp, console: Console) -> None:
    console.print(f"[bold]{part.name}[/bold], a {part.kind}", highlight=False)
    console.print(part.summary, markup=False, highlight=False)
    if not part.parameters:
        console.print("It takes no keys.")
        return
    table = folding("key", "type", "default", "", box=None, pad_edge=False)
    for key in part.parameters:
        cells = (key.name, key.type, "needed" if key.default is None else key.default, key.text)
        table.add_row(
            *(Text(cell) for cell in cells)
        )  # as it is: brackets are types and intervals, no markup
    console.print(table)


if __name__ == "__main__":
    from jobs.cli import main

    main("help")
