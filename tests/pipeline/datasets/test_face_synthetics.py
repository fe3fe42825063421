"""FaceSynthetics' layout."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.face import Unusable
from pipeline.datasets.face_synthetics import FaceSynthetics
from pipeline.errors import DataError

POINTS = np.random.default_rng(0).uniform(0, 63, (70, 2)).round(4)


@pytest.fixture
def root(tmp_path):
    text = "".join(f"{x} {y}\n" for x, y in POINTS)
    for stem in ("000001", "000000"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{stem}.png")
        Image.new("L", (64, 64)).save(tmp_path / f"{stem}_seg.png")
        (tmp_path / f"{stem}_ldmks.txt").write_text(text)
    return tmp_path


def test_images_are_paired_with_their_landmarks_and_masks_are_none(root, sound):
    reader = FaceSynthetics(str(root))
    records = sound(reader.records())
    assert [record.name for record in records] == ["000000.png", "000001.png"]
    np.testing.assert_array_equal(records[0].load().annotation.points_K2, POINTS)
    assert (reader.markup.name, reader.markup.num_landmarks) == ("faces70", 70)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.split("\n", 1)[1], "69 lines with landmarks, expected 70"),
        (lambda text: text.replace("\n", " 1\n", 1), "line 1: 3 numbers, expected 'x y'"),
        (lambda text: "x 1\n" + text.split("\n", 1)[1], "line 1: number 1 is 'x', expected a number"),
        (lambda text: "1 inf\n" + text.split("\n", 1)[1], "line 1: number 2 is 'inf', not finite"),
    ],
)
def test_a_malformed_file_leaves_out_its_face(root, change, message):
    path = root / "000000_ldmks.txt"
    path.write_text(change(path.read_text()))
    bad, good = FaceSynthetics(str(root)).records()
    assert isinstance(bad, Unusable)
    assert message in bad.problem
    assert "000000_ldmks.txt" in bad.problem
    assert good.name == "000001.png"


def test_missing_images_and_empty_folders(root, tmp_path_factory):
    (root / "000001.png").unlink()
    _, missing = FaceSynthetics(str(root)).records()
    assert (missing.reason, missing.name) == ("unreadable", "000001.png")
    with pytest.raises(DataError, match=r"no files \*_ldmks.txt in it"):
        FaceSynthetics(str(tmp_path_factory.mktemp("empty"))).records()
    with pytest.raises(DataError, match="set 'root' to the one that holds the images"):
        FaceSynthetics(str(root / "none"))
