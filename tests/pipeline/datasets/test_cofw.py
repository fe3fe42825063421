"""COFW. Its arrays are given as HDF5 holds them; a whole file is read last."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from pipeline.datasets import cofw as module
from pipeline.datasets.cofw import COFW, annotation_from
from pipeline.errors import DataError

RNG = np.random.default_rng(0)
PHIS = np.concatenate([RNG.uniform(1, 60, (58, 3)), RNG.integers(0, 2, (29, 3))])
BOXES = np.array([[2.0, 3.0, 20.0, 30.0]] * 3).T
WORDS = np.array([1.0, 2.0, 3.0, 4.0])


@pytest.fixture
def read(tmp_path, monkeypatch, sound):
    """Read a file of given arrays."""
    path = tmp_path / "COFW_test_color.mat"
    path.touch()

    def reading(phis, boxes, part="T", **given):
        arrays = {f"phis{part}": phis, f"bboxes{part}": boxes}
        monkeypatch.setattr(module, "first_variable", lambda _, names: next(n for n in names if n in arrays))
        monkeypatch.setattr(module, "read_mat73", lambda _, names: {n: arrays[n] for n in names})
        return sound(COFW(str(path), **given).records())

    return reading


def test_faces(read):
    records = read(PHIS, BOXES)
    assert [record.name for record in records] == ["test/0001", "test/0002", "test/0003"]
    annotation = records[1].annotation
    np.testing.assert_allclose(annotation.points_K2[:, 0], PHIS[:29, 1] - 1)
    np.testing.assert_allclose(annotation.points_K2[:, 1], PHIS[29:58, 1] - 1)
    np.testing.assert_array_equal(annotation.visible_K, PHIS[58:, 1] == 0)
    assert 0 < annotation.visible_K.sum() < 29
    assert annotation.box == (1, 2, 21, 32)
    assert (records[1].variable, records[1].index) == ("IsT", 1)


def test_faces_that_are_not_lfpws(read):
    phis, boxes = np.tile(PHIS[:, :1], (1, 850)), np.tile(BOXES[:, :1], (1, 850))
    assert len(read(phis, boxes, "Tr")) == 850
    records = read(phis, boxes, "Tr", subset="cofw")
    assert [records[0].name, len(records), records[0].variable] == ["train/0846", 5, "IsTr"]


def test_what_is_wrong_is_named(read):
    with pytest.raises(
        DataError, match=r"'phisT' \(3, 86\) and 'bboxesT' \(3, 4\), expected N × 87 and N × 4"
    ):
        read(PHIS[:86], BOXES)
    with pytest.raises(DataError, match=r"'bboxesT' \(2, 4\)"):
        read(PHIS, BOXES[:, :2])
    with pytest.raises(DataError, match="face 1: an occlusion is neither 0 nor 1"):
        annotation_from(np.append(PHIS[:86, 0], 0.5), WORDS, "face 1")
    with pytest.raises(DataError, match="face 1: a coordinate is not finite"):
        annotation_from(np.append(np.nan, PHIS[1:, 0]), WORDS, "face 1")
    with pytest.raises(DataError, match="face 1: the box is empty"):
        annotation_from(PHIS[:, 0], WORDS * (1, 1, 0, 1), "face 1")


def test_wrong_arguments(tmp_path):
    with pytest.raises(DataError, match=r"x\.mat: no such file; set 'path' to COFW_train_color\.mat or"):
        COFW(str(tmp_path / "x.mat"))
    (tmp_path / "x.mat").touch()
    with pytest.raises(DataError, match="field 'subset' is 'lfpw'"):
        COFW(str(tmp_path / "x.mat"), subset="lfpw")


def test_a_whole_file(tmp_path):
    path = tmp_path / "COFW_test_color.mat"
    image = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    with h5py.File(path, "w") as content:
        cells = [content.create_dataset(f"#refs#/{i}", data=image.T) for i in range(3)]
        content.create_dataset("IsT", data=np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype))
        content.create_dataset("phisT", data=PHIS)
        content.create_dataset("bboxesT", data=BOXES)
    records = COFW(str(path)).records()
    loaded = records[2].load()
    np.testing.assert_array_equal(loaded.image_HW3, image)
    np.testing.assert_allclose(loaded.annotation.points_K2[:, 0], PHIS[:29, 2] - 1)
