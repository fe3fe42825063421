"""A table of a study as plain data, for the terminal and as Markdown, and how its numbers are written. HTML is the report's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.evaluation.headline import ABSENT

if TYPE_CHECKING:
    from rich.table import Table

Mark = Literal["", "gain", "harm"]


@dataclass(frozen=True)
class Text:
    """A cell: what it says, and whether a gain or harm was shown there."""

    text: str
    mark: Mark = ""


@dataclass(frozen=True)
class Row:
    """A row: its names, its cells, and the series it belongs to, for its colour."""

    names: tuple[str, ...]
    cells: tuple[Text, ...]
    series: str


@dataclass(frozen=True)
class StudyTable:
    """A table.

    Attributes:
        title: Its heading.
        note: What its cells mean, one or two sentences.
        names: Heads of the columns that name a row.
        columns: Heads of the others.
        rows: Top to bottom.
    """

    title: str
    note: str
    names: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


_ARROWS: dict[Mark, str] = {"": "", "gain": " ↓", "harm": " ↑"}


def console_table(table: StudyTable) -> Table:
    """For a terminal."""
    from rich import text
    from rich.table import Table

    # Text, never str: Rich would read square brackets in a method's name as mark-up.
    made = Table(
        title=text.Text(table.title, style="bold"),
        title_justify="left",
        caption=text.Text(table.note),
        caption_justify="left",
    )
    for name in table.names:
        made.add_column(name, justify="left" if name == "Method" else "right", overflow="fold")
    for index, column in enumerate(table.columns):
        # An interval is read in one piece.
        whole = any("…" in row.cells[index].text for row in table.rows)
        made.add_column(text.Text(column), justify="right", no_wrap=whole)
    styles: dict[Mark, str] = {"": "", "gain": "bold green", "harm": "bold red"}
    for row in table.rows:
        cells = [text.Text(c.text + _ARROWS[c.mark], style=styles[c.mark]) for c in row.cells]
        made.add_row(*map(text.Text, row.names), *cells)
    return made


def number(value: float | None, form: str = "{:.2f}") -> str:
    """A number with typographic minus; absent where there is none, ∞ where there is no end."""
    if value is None or math.isnan(value):
        return ABSENT
    return ("∞" if value > 0 else "−∞") if math.isinf(value) else form.format(value).replace("-", "−")


def p_text(p: float) -> str:
    """A p value as printed."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def markdown(table: StudyTable) -> str:
    """For a README: the title as a bold line, the table, the note."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rows = [line([*table.names, *table.columns]), "|" + "---|" * (len(table.names) + len(table.columns))]
    for row in table.rows:
        cells = [f"**{c.text}**{_ARROWS[c.mark]}" if c.mark else c.text for c in row.cells]
        rows.append(line([*row.names, *cells]))
    return "\n".join([f"**{table.title}**", "", *rows, "", table.note, ""])
