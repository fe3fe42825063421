"""COFW-68: files as its authors distribute them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pipeline.datasets.cofw68 import COFW68, read_points
from pipeline.errors import DataError

POINTS = np.random.default_rng(0).uniform(1, 60, (68, 2))
OCCLUDED = (np.arange(68) % 3 == 0).astype(np.uint8)[None]


@pytest.fixture
def folders(tmp_path):
    for name in ("annotations", "images"):
        (tmp_path / name).mkdir()
    for number in (2, 10):
        savemat(
            tmp_path / "annotations" / f"{number}_points.mat", {"Points": POINTS + number, "Occ": OCCLUDED}
        )
        Image.new("RGB", (64, 64)).save(tmp_path / "images" / f"{number}.png")
    return tmp_path


def test_faces_by_number(folders):
    records = COFW68(str(folders / "annotations"), str(folders / "images")).records()
    assert [record.name for record in records] == ["test/0002", "test/0010"]
    annotation = records[0].load().annotation
    np.testing.assert_allclose(annotation.points_K2, POINTS + 1)
    np.testing.assert_array_equal(annotation.visible_K, OCCLUDED[0] == 0)


def test_images_of_the_mat_file_are_found_by_number(folders):
    (folders / "COFW_test_color.mat").touch()
    records = COFW68(str(folders / "annotations"), str(folders / "COFW_test_color.mat")).records()
    assert [(record.variable, record.index) for record in records] == [("IsT", 1), ("IsT", 9)]


def test_what_is_wrong_is_named(folders, sound):
    path = folders / "annotations" / "2_points.mat"
    read = COFW68(str(folders / "annotations"), str(folders / "images")).records
    (folders / "images" / "10.png").unlink()
    with pytest.raises(DataError, match=r"10_points\.mat: no image 10\.png or 10\.jpg in"):
        sound(read())
    (folders / "annotations" / "10_points.mat").unlink()
    savemat(path, {"Points": POINTS[:67], "Occ": OCCLUDED})
    with pytest.raises(
        DataError, match=r"2_points\.mat: 'Points' \(67, 2\) and 'Occ' \(1, 68\), expected 68 × 2"
    ):
        sound(read())
    savemat(path, {"Points": POINTS * np.nan, "Occ": OCCLUDED})
    with pytest.raises(DataError, match=r"2_points\.mat: a point is not finite"):
        sound(read())
    with pytest.raises(DataError, match=r"images: no files N_points\.mat"):
        COFW68(str(folders / "images"), str(folders / "images")).records()
    with pytest.raises(DataError, match=r"x: no such file; set 'images' to COFW_test_color\.mat"):
        COFW68(str(folders / "annotations"), str(folders / "x"))


@pytest.mark.real_data
def test_genuine_files(real_data):
    files = sorted((real_data / "formats" / "cofw68").glob("*.mat"))
    if not files:
        pytest.skip("no COFW-68 annotations there")
    occluded = []
    for path in files:
        annotation = read_points(path)
        points = annotation.points_K2
        assert (points[:, 0].min(), points[:, 1].min()) > (0, 0)
        assert points[36, 0] < points[45, 0]  # the viewer's left eye
        assert points[8, 1] > points[30, 1] > points[27, 1]  # chin below nose tip below its bridge
        occluded.append(1 - annotation.visible_K.mean())
    assert 0.05 < np.mean(occluded) < 0.6  # COFW: faces behind hands, food and hair
