"""Files: full precision, and enough to compute every number again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.studies.scaling.analysis import analyse
from pipeline.studies.scaling.files import write_study


def read(path):
    with Path(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_errors_can_be_computed_again_from_the_files(tmp_path, study):
    made = study(lambda c: 8.0 - bool(c.unlabelled))
    files = write_study(analyse(made), str(tmp_path / "out"))
    cells, faces, gains = (read(files[name]) for name in ("cells.csv", "faces.csv", "gains.csv"))
    assert len(cells) == len(made.results)
    for cell in cells:
        errors = np.array([float(face[cell["run"]]) for face in faces])
        assert float(cell["nme_percent"]) == pytest.approx(100 * errors.mean(), rel=1e-14)
    by_cell = {(c["labelled"], c["unlabelled"], c["seed"]): float(c["nme_percent"]) for c in cells}
    first = gains[0]
    pairs = [
        by_cell[first["group.labelled"], "0", s] - by_cell[first["group.labelled"], first["unlabelled"], s]
        for s in first["seeds"].split()
    ]
    assert float(first["gain"]) == pytest.approx(np.mean(pairs))
    assert json.loads((tmp_path / "out" / "study.json").read_text())["answer"]["headline"]
    assert "| Method |" in (tmp_path / "out" / "tables.md").read_text()
    assert not list((tmp_path / "out").glob(".*"))
