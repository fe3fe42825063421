"""Every form of a table says the same."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.table import console_table, markdown
from pipeline.studies.scaling.tables import brief, tables


def helped(cell):
    return 11.2 - (1.5 if cell.unlabelled else 0)


@pytest.fixture(scope="module")
def analysis(study):
    return analyse(study(helped, methods=("LaplaceKL + D", "[red]a|b"), widths=(8, 16), labelled=(157,)))


def test_markdown_has_every_cell(analysis):
    for table in tables(analysis):
        head, _, *rows = [x for x in markdown(table).splitlines() if x.startswith("|")]
        assert head == f"| {' | '.join([*table.names, *table.columns])} |"
        assert len(rows) == len(table.rows)
        for line, row in zip(rows, table.rows, strict=True):
            assert line.replace("\\|", "").count("|") == len(table.names) + len(table.columns) + 1
            assert all(cell.text in line for cell in row.cells)


def test_the_console_shows_names_as_they_are_and_fits(analysis):
    console = Console(width=110, record=True, file=io.StringIO())
    for table in brief(analysis):
        console.print(console_table(table))
    text = console.export_text()
    assert "[red]a|b" in text
    assert "gain ↓" in text
