"""Tables in the papers' shape, in every form."""

from __future__ import annotations

import pytest

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.tables import by_unlabelled, by_width


def helped(cell):
    return 11.2 - (1.5 if cell.unlabelled else 0)


@pytest.fixture(scope="module")
def analysis(study):
    return analyse(study(helped, methods=("LaplaceKL + D", "[red]a|b"), widths=(8, 16), labelled=(157,)))


def test_table_2_has_a_method_per_row_and_more_faces_to_the_right(analysis):
    grid = by_unlabelled(analysis)
    assert grid.columns == ("supervised", "5,000 unlabelled", "25,531 unlabelled")
    assert [row.names[0] for row in grid.rows][:2] == ["LaplaceKL + D, width 8", "LaplaceKL + D, width 16"]
    level = analysis.levels[0]
    assert grid.rows[0].cells[0].text == f"{level.mean:.2f} ± {level.deviation:.2f}"
    assert [cell.mark for cell in grid.rows[0].cells] == ["", "gain", "gain"]


def test_table_3_has_widths_to_the_right(analysis, study):
    grid = by_width(analysis)
    assert grid.columns == ("width 8", "width 16")
    assert len(grid.rows) == 2 * 3
    assert by_width(analyse(study(helped))) is None


def test_an_absent_cell_is_a_dash(study):
    from pipeline.studies.scaling.cells import Study

    made = study(helped)
    kept = tuple(r for r in made.results if (r.cell.labelled, r.cell.unlabelled) != (157, 5000))
    grid = by_unlabelled(analyse(Study(kept, "p", "m")))
    assert grid.rows[0].cells[1].text == "–"
