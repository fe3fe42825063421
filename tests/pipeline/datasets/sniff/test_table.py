"""Tables, recognised by their columns."""

from __future__ import annotations

import json

import pytest

from pipeline.datasets.sniff.table import recognise
from pipeline.errors import DataError


def test_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("path,x0,y0,x1,y1,x3,v0\na.jpg,1,2,3,4,5,1\nb.jpg,1,2,3,4,5,0\n")
    found = recognise(path)
    assert (found.num_landmarks, found.images, found.keys) == (2, ("a.jpg", "b.jpg"), {})
    path.write_text("path,x0,y0,v0\na.jpg,1,2,2\na.jpg,1,2,1\n")
    assert recognise(path).keys == {"one_means": "occluded"}


def test_lines(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        "\n"
        + json.dumps({"path": "a.jpg", "points": [[1, 2], None, [3, 4]], "visible": [True, False, 1]})
        + "\n"
    )
    found = recognise(path)
    assert (found.num_landmarks, found.images, found.keys) == (3, ("a.jpg",), {})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "file,x,y\n", r"its columns are file, x, y: a table of faces has path, x0, y0"),
        ("t.csv", "", "its columns are none"),
        ("t.csv", b"path,x0,y0\n\xff,1,2\n", "not CSV in UTF-8"),
        ("t.jsonl", '{"a": 1}\n', "no line is an object with 'path' and 'points'"),
        ("t.jsonl", "nonsense\n", "t.jsonl, line 1: not JSON"),
    ],
)
def test_others_say_what_they_are(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        recognise(tmp_path / name)
