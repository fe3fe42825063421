"""AFLW: the 19-point protocol's file, written small."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pipeline.datasets import aflw as module
from pipeline.datasets.aflw import AFLW
from pipeline.errors import DataError

NAMES = ["0/a.jpg", "2/b.jpg", "2/b.jpg", "3/c.jpg"]


def content():
    rng = np.random.default_rng(0)
    names = np.empty((4, 1), dtype=object)
    names[:, 0] = NAMES
    mask = np.ones((4, 19), dtype=np.uint8)
    mask[1, [0, 1]] = 0
    data = rng.uniform(1, 60, (4, 38))
    data[1, [1, 20]] = 0  # of the two invisible landmarks one has no position
    bbox = np.array([[3, 40, 5, 60]] * 4)
    return {"data": data, "mask_new": mask, "bbox": bbox, "nameList": names, "ra": np.array([[4, 1, 3, 2]])}


@pytest.fixture
def read(tmp_path, monkeypatch, sound):
    monkeypatch.setattr(module, "TRAINING", 2)
    for name in NAMES:
        (tmp_path / "flickr" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64)).save(tmp_path / "flickr" / name)

    def reading(subset="test", **changed):
        savemat(tmp_path / "info.mat", {**content(), **changed})
        return sound(AFLW(str(tmp_path / "info.mat"), str(tmp_path / "flickr"), subset).records())

    return reading


def test_splits_are_the_permutations(read):
    assert [record.name for record in read("train")] == ["0/a.jpg#1", "3/c.jpg#4"]
    assert [record.name for record in read("test")] == ["2/b.jpg#2", "2/b.jpg#3"]
    assert [record.name for record in read("frontal")] == ["2/b.jpg#3"]


def test_invisible_landmarks(read):
    annotation = read()[0].load().annotation
    data = content()["data"][1]
    np.testing.assert_allclose(annotation.points_K2[0], data[[0, 19]] - 1)  # invisible, position known
    assert np.isnan(annotation.points_K2[1]).all()
    np.testing.assert_allclose(annotation.points_K2[2:, 0], data[2:19] - 1)
    assert annotation.visible_K.tolist() == [False, False] + [True] * 17
    assert annotation.box == (2, 4, 39, 59)  # the file has left, right, top, bottom


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data": np.ones((4, 37))}, r"info\.mat: data, mask_new and bbox are \(\(4, 37\)"),
        ({"ra": np.array([[1, 1, 2, 3]])}, "'ra' is no permutation"),
        ({"mask_new": np.full((4, 19), 2)}, "row 3: 'mask_new' is neither 0 nor 1"),
        ({"data": np.full((4, 38), np.nan)}, "row 3: landmark 0 is visible and has no position"),
        ({"data": np.zeros((4, 38)), "mask_new": np.zeros((4, 19))}, "row 3: no landmark has a position"),
        ({"bbox": np.array([[3, 5, 40, 60]] * 4)[:, [1, 0, 2, 3]]}, "row 3: the box is empty"),
        (
            {"nameList": np.array([["x"], ["x"], ["../x.jpg"], ["x"]], dtype=object)},
            r"row 3: '\.\./x\.jpg' leads",
        ),
        (
            {"nameList": np.array([["x"], ["x"], ["x.jpg"], ["x"]], dtype=object)},
            r"row 3: .*x\.jpg: No such file",
        ),
    ],
)
def test_what_is_wrong_is_named(read, changed, message):
    with pytest.raises(DataError, match=message):
        read(**changed)


def test_wrong_arguments(tmp_path):
    with pytest.raises(DataError, match="field 'subset' is 'all': give one of train, test, frontal"):
        AFLW(str(tmp_path / "x.mat"), str(tmp_path), "all")
    with pytest.raises(DataError, match=r"x\.mat: no such file; set 'path' to AFLWinfo_release\.mat"):
        AFLW(str(tmp_path / "x.mat"), str(tmp_path), "test")
