"""A table as plain data, and as Rich table, Markdown and CSV. HTML is the report's."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
class Grid:
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


def console_table(grid: Grid) -> Table:
    """For a terminal."""
    from rich import table, text

    # Text, never str: Rich would read square brackets in a method's name as mark-up.
    made = table.Table(
        title=text.Text(grid.title, style="bold"),
        title_justify="left",
        caption=text.Text(grid.note),
        caption_justify="left",
    )
    for name in grid.names:
        made.add_column(name, justify="left" if name == "Method" else "right", overflow="fold")
    for index, column in enumerate(grid.columns):
        # An interval is read in one piece.
        whole = any("…" in row.cells[index].text for row in grid.rows)
        made.add_column(text.Text(column), justify="right", no_wrap=whole)
    styles: dict[Mark, str] = {"": "", "gain": "bold green", "harm": "bold red"}
    for row in grid.rows:
        cells = [text.Text(c.text + _ARROWS[c.mark], style=styles[c.mark]) for c in row.cells]
        made.add_row(*map(text.Text, row.names), *cells)
    return made


def markdown(grid: Grid) -> str:
    """For a README: the title as a bold line, the table, the note."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rows = [line([*grid.names, *grid.columns]), "|" + "---|" * (len(grid.names) + len(grid.columns))]
    for row in grid.rows:
        cells = [f"**{c.text}**{_ARROWS[c.mark]}" if c.mark else c.text for c in row.cells]
        rows.append(line([*row.names, *cells]))
    return "\n".join([f"**{grid.title}**", "", *rows, "", grid.note, ""])


def as_csv(grid: Grid) -> str:
    """As printed, for a spreadsheet; full precision is in the study's own files."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*grid.names, *grid.columns])
    writer.writerows([*row.names, *(c.text for c in row.cells)] for row in grid.rows)
    return buffer.getvalue()
