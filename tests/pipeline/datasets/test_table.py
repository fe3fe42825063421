"""Tables of faces: CSV and JSON lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.table import FaceTable
from pipeline.errors import ConfigError, DataError

MARKUP = "name: three\nnum_landmarks: 3\ncurves: {}\nflip_pairs: [[0, 1]]\n"
HEADER = "path,x0,y0,x1,y1,x2,y2"
ROW = "a.png,1,2,3,4,5.5,6"


@pytest.fixture
def read(tmp_path):
    """Write a table, read it."""
    (tmp_path / "three.yaml").write_text(MARKUP)
    for name in ("a.png", "sub/b.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / name)

    def reading(content, name="t.csv"):
        (tmp_path / name).write_text(content)
        return FaceTable(
            str(tmp_path / name), str(tmp_path / "images"), str(tmp_path / "three.yaml")
        ).records()

    return reading


def test_csv(read):
    header = f"{HEADER},v0,v1,v2,left,top,right,bottom,attribute.pose"
    content = f"{header}\nsub/b.png,0,1,2,3,,,1,0,0,0,0,7,8,profile\n{ROW},1,1,1,1,2,3,4,\n"
    first, second = read(content)
    assert (first.name, second.name) == ("a.png", "sub/b.png")
    np.testing.assert_array_equal(first.annotation.points_K2, [[1, 2], [3, 4], [5.5, 6]])
    np.testing.assert_array_equal(second.annotation.points_K2, [[0, 1], [2, 3], [np.nan, np.nan]])
    assert second.annotation.visible_K.tolist() == [True, False, False]
    assert second.annotation.box == (0, 0, 7, 8)
    assert second.annotation.attributes == {"pose": "profile"}
    assert first.load().image_HW3.shape == (8, 8, 3)


def test_json_lines_say_the_same_as_csv(read):
    rows = [
        {
            "path": "sub/b.png",
            "points": [[0, 1], [2, 3], None],
            "visible": [True, False, False],
            "box": [0, 0, 7, 8],
        },
        {"path": "a.png", "points": [[1, 2], [3, 4], [5.5, 6]], "attributes": {"yaw": 3}},
    ]
    first, second = read("\n".join(map(json.dumps, rows)), "t.jsonl")
    np.testing.assert_array_equal(first.annotation.points_K2, [[1, 2], [3, 4], [5.5, 6]])
    assert first.annotation.visible_K.all()
    assert first.annotation.attributes == {"yaw": 3}
    assert second.annotation.visible_K.tolist() == [True, False, False]
    assert np.isnan(second.annotation.points_K2[2]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER}\n", r"t\.csv: no faces in it"),
        (f"{HEADER},rigth\n{ROW},1\n", r"line 1: unknown column 'rigth'; did you mean 'right'\?"),
        (HEADER.replace(",y2", "") + "\na.png,1,2,3,4,5\n", r"line 1: no column 'y2'; markup 'three' has 3"),
        (f"{HEADER},left\n{ROW},1\n", "line 1: no column 'top'"),
        (f"{HEADER}\n{ROW}\na.png,1,2\n", "line 3: its number of cells"),
        (f"{HEADER}\n{ROW},9\n", "line 2: its number of cells"),
        (f"{HEADER}\n{ROW.replace('5.5', 'wide')}\n", "line 2: field 'x2' is 'wide', expected a number"),
        (f"{HEADER}\n{ROW.replace('5.5', 'inf')}\n", "line 2: field 'x2' is 'inf', not finite"),
        (f"{HEADER}\na.png,1,2,3,4,,\n", "line 2: point 2 is empty but visible"),
        (f"{HEADER},v0,v1,v2\n{ROW},1,1,2\n", "line 2: field 'v2' is '2', expected 0 or 1"),
        (f"{HEADER},v0,v1,v2\na.png,,,,,,,0,0,0\n", "line 2: a face without any point"),
        (f"{HEADER},left,top,right,bottom\n{ROW},5,0,4,9\n", "line 2: the box is empty"),
        (f"{HEADER}\n{ROW.replace('a.png', 'c.png')}\n", r"line 2: .*c\.png: No such file"),
        (f"{HEADER}\n{ROW.replace('a.png', '../a.png')}\n", r"line 2: '\.\./a\.png' leads out of 'root'"),
        (f"{HEADER}\n{ROW}\n{ROW}\n", r"the name 'a\.png' is taken"),
    ],
)
def test_bad_csv_names_line_and_field(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: expected an object"),
        ('{"path": "a.png", "point": []}', "line 1: expected an object with 'path' and 'points'"),
        ('{"path": "a.png", "points": [], "boxx": 1}', "line 1: unknown column 'boxx'; did you mean 'box'"),
        ('{"path": "a.png", "points": [[1, 2]]}', "line 1: 1 points, markup 'three' has 3"),
        (
            '{"path": "a.png", "points": [[1, 2], [3], [4, 5]]}',
            r"line 1: point 1 is \[3\], expected \[x, y\]",
        ),
        ('{"path": "a.png", "points": [[1, 2], [3, 4], [4, 5]], "visible": [1]}', "line 1: 1 visibilities"),
        ('{"path": "a.png", "points": [[1, 2], [3, 4], [4, 5]], "box": [1]}', "line 1: field 'box' is"),
        ('{"points": [[1, 2], [3, 4], [4, 5]]}', "line 1: field 'path' is None"),
    ],
)
def test_bad_json_lines_name_line_and_field(read, row, message):
    with pytest.raises(DataError, match=message):
        read(row, "t.jsonl")


def test_wrong_arguments(tmp_path):
    with pytest.raises(ConfigError, match="no markup 'nine'"):
        FaceTable("t.csv", str(tmp_path), "nine")
    with pytest.raises(DataError, match=r"t\.csv: no such file"):
        FaceTable(str(tmp_path / "t.csv"), str(tmp_path), "ibug68")
    (tmp_path / "t.xls").touch()
    with pytest.raises(DataError, match=r"extension '\.xls'; give a \.csv or a \.jsonl"):
        FaceTable(str(tmp_path / "t.xls"), str(tmp_path), "ibug68")
    (tmp_path / "t.csv").touch()
    with pytest.raises(DataError, match="nowhere: no such folder; set 'root'"):
        FaceTable(str(tmp_path / "t.csv"), str(tmp_path / "nowhere"), "ibug68")
