"""MATLAB files of both kinds."""

from __future__ import annotations

import pickle
import sys

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from pipeline.datasets._mat import MatImage, first_variable, open_mat73, read_mat, read_mat73, to_rgb
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_version_5(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"Points": np.eye(3), "other": 1})
    np.testing.assert_array_equal(read_mat(path, ["Points"])["Points"], np.eye(3))
    with pytest.raises(DataError, match=r"a\.mat: no variable 'Occ'; is this the right file\?"):
        read_mat(path, ["Points", "Occ"])
    path.write_bytes(b"no MATLAB at all, only words" * 20)
    with pytest.raises(DataError, match=r"a\.mat: no MATLAB file"):
        read_mat(path, ["Points"])
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" * 9)
    with pytest.raises(DataError, match=r"a\.mat: MATLAB 7\.3; save it with -v7"):
        read_mat(path, ["Points"])


def test_without_h5py_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"a\.mat: MATLAB 7\.3 .* h5py, .* not installed: pip install h5py"):
        open_mat73(str(tmp_path / "a.mat"))


def test_images_lie_on_their_side_in_hdf5():
    np.testing.assert_array_equal(to_rgb(RGB.transpose(2, 1, 0), "x"), RGB)
    grey = to_rgb(RGB[..., 0].T, "x")
    np.testing.assert_array_equal(grey, np.repeat(RGB[..., :1], 3, axis=2))
    for bad in (RGB.astype(float).T, RGB, RGB[0, 0]):
        with pytest.raises(DataError, match="face 3: shape .* expected an 8-bit image"):
            to_rgb(bad, "face 3")


@pytest.fixture
def mat73(tmp_path):
    path = tmp_path / "c.mat"
    with h5py.File(path, "w") as file:
        cells = [
            file.create_dataset(f"#refs#/{i}", data=image) for i, image in enumerate((RGB.T, RGB[..., 0].T))
        ]
        file.create_dataset("IsT", data=np.array([[cell.ref for cell in cells]], dtype=h5py.ref_dtype))
        file.create_dataset("phisT", data=np.arange(6.0).reshape(3, 2))
    return path


def test_version_73(mat73):
    np.testing.assert_array_equal(read_mat73(mat73, ["phisT"])["phisT"], [[0, 1], [2, 3], [4, 5]])
    assert first_variable(mat73, ["phisTr", "phisT"]) == "phisT"
    with pytest.raises(DataError, match=r"c\.mat: none of the variables a, b"):
        first_variable(mat73, ["a", "b"])
    mat73.write_text("words")
    with pytest.raises(DataError, match=r"c\.mat: no MATLAB 7\.3 file"):
        open_mat73(str(mat73))


def test_images_of_version_73(mat73):
    annotation = Annotation(np.ones((2, 2)), np.ones(2, dtype=bool))
    record = MatImage("cofw", "test/0001", str(mat73), "IsT", 0, annotation)
    assert isinstance(record, FaceRecord)
    image = pickle.loads(pickle.dumps(record)).load()
    np.testing.assert_array_equal(image.image_HW3, RGB)
    second = MatImage("cofw", "test/0002", str(mat73), "IsT", 1, annotation)
    assert (second.load().image_HW3 == RGB[..., :1]).all()
    assert second.fingerprint() != record.fingerprint()
    with pytest.raises(DataError, match=r"IsT\{3\}: the file holds 2 images"):
        MatImage("cofw", "test/0003", str(mat73), "IsT", 2, None).load()
