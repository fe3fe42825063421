"""The 300-W layout, and every way it can be broken."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets._pts import read_pts
from pipeline.datasets.face import Unusable
from pipeline.datasets.w300 import W300
from pipeline.errors import DataError

POINTS = np.random.default_rng(0).uniform(1, 60, (68, 2)).round(3)


def pts(points=POINTS, closing="}"):
    lines = "\n".join(f"{x} {y}" for x, y in points)
    return f"version: 1\nn_points:  {len(points)}\n{{\n{lines}\n{closing}\n"


@pytest.fixture
def root(tmp_path):
    for subset, stem, suffix in (("afw", "b", ".jpg"), ("afw", "a", ".png"), ("helen/testset", "c", ".jpg")):
        folder = tmp_path / subset
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(folder / f"{stem}{suffix}")
        (folder / f"{stem}.pts").write_text(pts())
    return tmp_path


def test_reads_faces_sorted_by_name_with_zero_based_landmarks(root):
    reader = W300(str(root), ["helen/testset", "afw"])
    records = reader.records()
    assert [record.name for record in records] == ["afw/a.png", "afw/b.jpg", "helen/testset/c.jpg"]
    assert {record.source for record in records} == {"300w"}
    image = records[0].load()
    assert image.image_HW3.shape == (48, 64, 3)
    np.testing.assert_allclose(image.annotation.points_K2, POINTS - 1)
    assert reader.markup.name == "ibug68"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pts(POINTS[:67]), r"a\.pts: 67 points, expected 68; correct it or remove"),
        (pts().replace(f"{POINTS[1][0]}", "left", 1), r"a\.pts, line 5: expected 'x y', got 'left "),
        (pts().replace(f"{POINTS[0][0]} ", "", 1), r"a\.pts, line 4: expected 'x y'"),
        (pts().replace(f"{POINTS[2][1]}", "nan", 1), r"a\.pts, line 6: .* is not finite"),
        (pts(closing=""), r"a\.pts, line 72: expected|a\.pts: no line '}'"),
        ("68 points", r"a\.pts, line 1: expected 'x y', got '68 points'"),
        ("version: 1\n1 2\n", r"a\.pts: no line '{'"),
        ("", r"a\.pts: no line '{'"),
        (pts(POINTS[:67]).split("{")[1].split("}")[0], r"a\.pts: 67 points, expected 68"),
    ],
)
def test_malformed_annotation_names_file_and_line(root, content, message, sound):
    (root / "afw" / "a.pts").write_text(content)
    with pytest.raises(DataError, match=message):
        sound(W300(str(root), ["afw"]).records())


def test_annotation_that_is_no_text(root):
    (root / "afw" / "a.pts").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match=r"a\.pts: cannot read the annotation"):
        read_pts(root / "afw" / "a.pts", 68)


def test_lines_without_header_are_the_same_landmarks(root):
    (root / "afw" / "a.pts").write_text(pts().split("{")[1].split("}")[0])
    np.testing.assert_allclose(read_pts(root / "afw" / "a.pts", 68), POINTS - 1)


def test_one_run_names_all_that_is_bad_and_keeps_the_rest(root):
    (root / "afw" / "a.pts").write_text(pts(POINTS[:67]))
    (root / "helen" / "testset" / "d.pts").write_text(pts())
    records = W300(str(root), ["afw", "helen/testset"]).records()
    left_out = {r.name: (r.reason, r.problem) for r in records if isinstance(r, Unusable)}
    assert left_out.keys() == {"afw/a.png", "helen/testset/d.pts"}
    assert left_out["afw/a.png"][0] == "bad_annotation"
    assert "67 points, expected 68" in left_out["afw/a.png"][1]
    assert len(records) == 4


def test_missing_halves_of_a_pair(root, sound):
    (root / "afw" / "b.pts").unlink()
    with pytest.raises(
        DataError, match=r"b\.jpg: no annotation b\.pts in .*; restore it or remove the image"
    ):
        sound(W300(str(root), ["afw"]).records())
    (root / "afw" / "b.jpg").unlink()
    (root / "afw" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.pts: no image a\.jpg or a\.png in .*; restore or remove it"):
        sound(W300(str(root), ["afw"]).records())


def test_two_images_of_one_annotation(root, sound):
    Image.new("RGB", (8, 8)).save(root / "afw" / "a.jpg")
    with pytest.raises(DataError, match=r"a\.png: shares its annotation or image with a\.jpg"):
        sound(W300(str(root), ["afw"]).records())


def test_wrong_folders(root, sound):
    with pytest.raises(DataError, match="nowhere: no such folder; set 'root'"):
        W300(str(root / "nowhere"), ["afw"])
    with pytest.raises(DataError, match=r"lfpw/testset: no such folder; 300-W has afw, helen/trainset"):
        W300(str(root), ["lfpw/testset"])
    with pytest.raises(DataError, match="'afw' is given twice"):
        W300(str(root), ["afw", "afw"])
    with pytest.raises(DataError, match="field 'subsets' is 'afw': give a list"):
        W300(str(root), "afw")
    (root / "ibug").mkdir()
    with pytest.raises(DataError, match=r"ibug: no \.pts files"):
        sound(W300(str(root), ["ibug"]).records())


@pytest.mark.real_data
def test_real_300w(real_data):
    records = W300(str(real_data / "300w"), ["helen/testset", "lfpw/testset"]).records()
    assert len(records) == 554
    image = records[0].load()
    height, width = image.image_HW3.shape[:2]
    assert (image.annotation.points_K2 < (width, height)).all()
    # The viewer's left eye is left of the right one.
    eyes = [np.diff(r.annotation.points_K2[[36, 45], 0])[0] for r in records]
    assert np.mean(np.array(eyes) > 0) > 0.99
