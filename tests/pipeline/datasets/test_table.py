"""Tables of faces: CSV and JSON lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import UnusableError
from pipeline.datasets.table import FaceTable
from pipeline.errors import ConfigError, DataError

MARKUP = "name: three\nnum_landmarks: 3\ncurves: {}\nflip_pairs: [[0, 1]]\n"
HEADER = "path,x0,y0,x1,y1,x2,y2"
ROW = "a.png,1,2,3,4,5.5,6"


@pytest.fixture
def read(tmp_path, sound):
    """Write a table, read it."""
    (tmp_path / "three.yaml").write_text(MARKUP)
    for name in ("a.png", "sub/b.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / name)

    def reading(content, name="t.csv"):
        (tmp_path / name).write_text(content)
        return sound(
            FaceTable(str(tmp_path / name), str(tmp_path / "images"), str(tmp_path / "three.yaml")).records()
        )

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
        (
            f"{HEADER},v0,v1,v2\n{ROW},1,1,2\n",
            "line 2: v is 2 for some landmarks and 1 for others: set 'one_means'",
        ),
        (f"{HEADER},v0,v1,v2\na.png,,,,,,,0,0,0\n", "line 2: a face without any point"),
        (f"{HEADER},left,top,right,bottom\n{ROW},5,0,4,9\n", "line 2: the box is empty"),
        (f"{HEADER}\n{ROW.replace('a.png', 'c.png')}\n", r"line 2: .*c\.png: No such file"),
        (f"{HEADER}\n{ROW.replace('a.png', '../a.png')}\n", r"line 2: '\.\./a\.png' leads out of"),
        (f"{HEADER}\n{ROW}\n{ROW}\n", r"the name 'a\.png#3\.2_4\.0' is taken"),
        (
            f"{HEADER.replace(',', ';')}\n{ROW}\n",
            "line 1: columns are separated by semicolons; export the table with commas",
        ),
        (f"{HEADER},v0,v1,v2\n{ROW},1,1,yes\n", "line 2: field 'v2' is 'yes', expected 0 or 1"),
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
        ('{"points": [[1, 2], [3, 4], [4, 5]]}', "line 1: the image's path is None"),
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


def test_several_faces_of_an_image_are_apart_whatever_their_order(read):
    rows = ["a.png,1,2,3,4,5.5,6", "a.png,0,0,1,1,2,2", "sub/b.png,1,2,3,4,5,6"]
    names = [record.name for record in read("\n".join([HEADER, *rows]))]
    assert names == ["a.png#1.0_1.0", "a.png#3.2_4.0", "sub/b.png"]
    swapped = read("\n".join([HEADER, *rows[::-1]]))
    assert [record.name for record in swapped] == names
    np.testing.assert_array_equal(swapped[0].annotation.points_K2, [[0, 0], [1, 1], [2, 2]])


def test_paths_of_windows(read):
    assert read(f"{HEADER}\nsub\\b.png,1,2,3,4,5,6\n")[0].name == "sub/b.png"


@pytest.mark.parametrize(
    ("codes", "visible"),
    [
        ("1,0,1", [True, False, True]),
        ("1.0,0.0,1.0", [True, False, True]),
        ("True,False,true", [True, False, True]),
        ("2,2,2", [True, True, True]),
    ],
)
def test_spellings_of_visibility(read, codes, visible):
    (record,) = read(f"{HEADER},v0,v1,v2\n{ROW},{codes}\n")
    assert record.annotation.visible_K.tolist() == visible


@pytest.mark.parametrize(
    ("one_means", "visible", "placed"),
    [
        ("visible", [True, True, False], [True, True, True]),
        ("occluded", [True, False, False], [True, True, False]),
    ],
)
def test_what_one_means_beside_two(read, tmp_path, one_means, visible, placed):
    content = f"{HEADER},v0,v1,v2\na.png,1,2,3,4,0,0,2,1,0\n"
    with pytest.raises(
        DataError, match="line 2: v is 2 for some landmarks and 0 for others: set 'one_means'"
    ):
        read(content)
    reader = FaceTable(
        str(tmp_path / "t.csv"), str(tmp_path / "images"), str(tmp_path / "three.yaml"), one_means=one_means
    )
    annotation = reader.records()[0].annotation
    assert annotation.visible_K.tolist() == visible
    assert np.isfinite(annotation.points_K2).all(axis=1).tolist() == placed


def test_the_annotated_size(read):
    (record,) = read(f"{HEADER},width,height\n{ROW},16,16\n")
    with pytest.raises(UnusableError, match="a.png: 8×8 px, but .* annotated at 16×16 px"):
        record.load()
    assert read(f"{HEADER},width,height\n{ROW},8,8\n")[0].load()
    row = {"path": "a.png", "points": [[1, 2], [3, 4], [5, 6]], "size": [8, 16]}
    with pytest.raises(UnusableError, match="8×8 px, but .* at 8×16 px"):
        read(json.dumps(row), "t.jsonl")[0].load()


def test_one_bad_line_leaves_the_others(tmp_path, read):
    good = json.dumps({"path": "a.png", "points": [[1, 2], [3, 4], [5, 6]]}).encode()
    with pytest.raises(DataError, match="no faces"):
        read("", "t.jsonl")
    (tmp_path / "t.jsonl").write_bytes(b"\xff\xfe{}\n" + good + b"\n" + b"[" * 100_000 + b"\n{" + b"\n")
    reader = FaceTable(str(tmp_path / "t.jsonl"), str(tmp_path / "images"), str(tmp_path / "three.yaml"))
    assert [(r.name, type(r).__name__) for r in reader.records()] == [
        ("a.png", "StoredImage"),
        ("line 1", "Unusable"),
        ("line 3", "Unusable"),
        ("line 4", "Unusable"),
    ]
