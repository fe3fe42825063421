"""The figures of a benchmark: what is shown, what is kept."""

from __future__ import annotations

import csv

import pytest

from jobs.bench.figures import run_python, show, write_csv
from pipeline.errors import TrainingError


def test_shows_spread_and_ratios_pair_by_pair(capsys: pytest.CaptureFixture[str]) -> None:
    show("speed", "images/s", [(10.0, 5.0), (12.0, 8.0), (30.0, 10.0)], ("ours", "plain"))
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "ours" in line)
    assert [float(word) for word in row.replace("│", " ").split() if word[0].isdigit()] == [10.0, 12.0, 30.0]
    assert "2.000, 1.500, 3.000" in shown


def test_every_row_carries_hardware_and_versions(tmp_path) -> None:
    out = tmp_path / "figures.csv"
    write_csv(str(out), [{"round": 0, "ratio": 1.5}, {"round": 1, "ratio": 2.0}], "abc", 7)
    rows = list(csv.DictReader(out.open()))
    assert [row["ratio"] for row in rows] == ["1.5", "2.0"]
    for row in rows:
        assert row["config_hash"] == "abc"
        assert row["seed"] == "7"
        assert int(row["cores"]) >= 1
        assert row["cpu"]
        assert row["torch"]
        assert row["python"].startswith("3.")


def test_no_file_without_a_name(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(None, [{"ratio": 1.0}], None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_side_that_fails_says_why() -> None:
    with pytest.raises(TrainingError, match=r"tarfile.*status"):
        run_python("tarfile", ["--nonsense"], None, {})
