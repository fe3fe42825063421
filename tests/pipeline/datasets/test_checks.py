"""Checks shared by the readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets._checks import below, box, load_json, number
from pipeline.errors import DataError


@pytest.mark.parametrize(
    ("name", "clean"), [("a.jpg", "a.jpg"), (" lfw\\a b.jpg ", "lfw/a b.jpg"), ("./x//y.png", "x/y.png")]
)
def test_paths_below_the_root(name, clean):
    assert below(name, Path("/images"), "l.txt, line 3") == clean


@pytest.mark.parametrize(
    "name", ["../a.jpg", "a/../../b.jpg", "..\\a.jpg", "/etc/a.jpg", "C:\\a.jpg", "\\\\host\\s\\a"]
)
def test_paths_that_lead_out_are_refused(name):
    with pytest.raises(DataError, match=r"l\.txt, line 3: .* leads out of /images"):
        below(name, Path("/images"), "l.txt, line 3")


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_no_path_at_all(name):
    with pytest.raises(DataError, match="line 3: the image's path is"):
        below(name, Path("/images"), "l.txt, line 3")


@pytest.mark.parametrize("value", ["one", None, True, [], "nan", float("inf")])
def test_numbers_are_finite_numbers(value):
    with pytest.raises(DataError, match="line 3: x is"):
        number(value, "line 3", "x")


def test_empty_boxes_are_refused():
    assert box([1, 2, 3, 4], "x") == (1.0, 2.0, 3.0, 4.0)
    with pytest.raises(DataError, match="line 3: the box is empty"):
        box([3, 2, 3, 4], "line 3")


def test_no_json(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json: not JSON .*; export it again"):
        load_json(tmp_path / "a.json")
