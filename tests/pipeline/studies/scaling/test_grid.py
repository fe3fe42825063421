"""Every form of a table says the same."""

from __future__ import annotations

import csv
import io

import pytest
from rich.console import Console

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.grid import as_csv, console_table, markdown
from pipeline.studies.scaling.tables import brief, tables


def helped(cell):
    return 11.2 - (1.5 if cell.unlabelled else 0)


@pytest.fixture(scope="module")
def analysis(study):
    return analyse(study(helped, methods=("LaplaceKL + D", "[red]a|b"), widths=(8, 16), labelled=(157,)))


def test_every_form_says_the_same(analysis):
    for grid in tables(analysis):
        read = list(csv.reader(io.StringIO(as_csv(grid))))
        assert read[0] == [*grid.names, *grid.columns]
        assert read[1] == [*grid.rows[0].names, *(c.text for c in grid.rows[0].cells)]
        lines = [x for x in markdown(grid).splitlines() if x.startswith("|")]
        assert len(lines) == 2 + len(grid.rows)
        assert {x.replace("\\|", "").count("|") for x in lines} == {len(read[0]) + 1}


def test_the_console_shows_names_as_they_are_and_fits(analysis):
    console = Console(width=110, record=True, file=io.StringIO())
    for grid in brief(analysis):
        console.print(console_table(grid))
    text = console.export_text()
    assert "[red]a|b" in text
    assert "gain ↓" in text
