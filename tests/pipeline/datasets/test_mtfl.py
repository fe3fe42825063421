"""MTFL: its lists, backslashes and leading blanks included."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.mtfl import MTFL, parse_line
from pipeline.errors import DataError

LINE = " lfw_5590\\A_0001.jpg 11.75 49.25 37.75 12.75 42.75 11.5 14.75 34.25 53.25 55.25 1 2 2 4"


@pytest.fixture
def read(tmp_path, sound):
    (tmp_path / "lfw_5590").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "lfw_5590" / "A_0001.jpg")

    def reading(content):
        (tmp_path / "training.txt").write_bytes(content.encode())
        return sound(MTFL(str(tmp_path), "training").records())

    return reading


def test_a_line_as_the_authors_write_it(read):
    (record,) = read(LINE + "\r\n \r\n")
    assert record.name == "lfw_5590/A_0001.jpg"
    annotation = record.load().annotation
    np.testing.assert_array_equal(
        annotation.points_K2, [[11.75, 11.5], [49.25, 14.75], [37.75, 34.25], [12.75, 53.25], [42.75, 55.25]]
    )
    assert annotation.visible_K.all()
    assert annotation.attributes == {"gender": 1, "smile": 2, "glasses": 2, "pose": 4}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"training\.txt: no faces"),
        (LINE.rsplit(maxsplit=1)[0], r"training\.txt, line 1: 14 columns, expected 15"),
        (LINE.replace("37.75", "x"), "line 1: coordinate 3 is 'x', expected a number"),
        (LINE[:-1] + "6", "line 1: pose is '6', expected 1 to 5"),
        (LINE.replace("lfw_5590", ".."), "line 1: .* leads out of"),
        (LINE.replace("0001", "0002"), r"line 1: .*A_0002\.jpg: No such file.*; unpack MTFL\.zip"),
        (f"{LINE}\n{LINE}", "is taken by"),
    ],
)
def test_what_is_wrong_is_named(read, content, message):
    with pytest.raises(DataError, match=message):
        read(content)


def test_wrong_arguments(tmp_path):
    with pytest.raises(DataError, match="field 'subset' is 'train': give 'training' or 'testing'"):
        MTFL(str(tmp_path), "train")
    with pytest.raises(DataError, match=r"testing\.txt: no such list; unpack"):
        MTFL(str(tmp_path), "testing")


@pytest.mark.real_data
def test_genuine_lists(real_data, tmp_path):
    lists = sorted((real_data / "formats" / "mtfl").glob("t*ing.txt"))
    if not lists:
        pytest.skip("no MTFL lists there")
    for path in lists:
        for text in filter(str.strip, path.read_text().splitlines()):
            name, annotation = parse_line(text, tmp_path, path.name)
            assert name.split("/")[0] in {"AFLW", "lfw_5590", "net_7876"}
            left, right, _, *mouth = annotation.points_K2
            # The viewer's left is left, and eyes are above mouths, on all but upside-down faces.
            assert left[0] < right[0]
            assert mouth[0][0] < mouth[1][0]
            assert max(left[1], right[1]) < min(mouth[0][1], mouth[1][1])
