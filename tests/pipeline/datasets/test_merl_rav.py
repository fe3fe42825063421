"""MERL-RAV: what the signs of its coordinates mean."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.merl_rav import POSES, MerlRav, read_signed_pts
from pipeline.errors import DataError

POINTS = np.random.default_rng(0).uniform(2, 60, (68, 2)).round(3)


def pts(points):
    lines = "\n".join(f"{x:g} {y:g}" for x, y in points)
    return f"version: 1\nn_points:  {len(points)}\n{{\n{lines}\n}}\n"


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "left" / "testset"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(folder / "image1_2.jpg")
    points = POINTS.copy()
    points[0] *= -1
    points[1] = -1
    points[2] *= (-1, 1)
    (folder / "image1_2.pts").write_text(pts(points))
    return tmp_path


def test_signs(root):
    (record,) = MerlRav(str(root), ["left/testset"]).records()
    annotation = record.load().annotation
    np.testing.assert_allclose(annotation.points_K2[0], POINTS[0] - 1)
    assert np.isnan(annotation.points_K2[1]).all()
    np.testing.assert_allclose(annotation.points_K2[2], POINTS[2] * (-1, 1) - 1)
    np.testing.assert_allclose(annotation.points_K2[3:], POINTS[3:] - 1)
    assert annotation.visible_K.tolist() == [False, False] + [True] * 66
    assert annotation.attributes == {"occlusion": [1, 2] + [0] * 66, "pose": "left"}
    assert record.name == "left/testset/image1_2.jpg"


def test_a_face_without_any_position(root, sound):
    (root / "left/testset/image1_2.pts").write_text(pts(np.full((68, 2), -1)))
    with pytest.raises(DataError, match=r"image1_2\.pts: every landmark is self-occluded"):
        sound(MerlRav(str(root), ["left/testset"]).records())


def test_a_malformed_file_is_named(root, sound):
    (root / "left/testset/image1_2.pts").write_text(pts(POINTS[:60]))
    with pytest.raises(DataError, match=r"image1_2\.pts: 60 points, expected 68"):
        sound(MerlRav(str(root), ["left/testset"]).records())


@pytest.mark.real_data
def test_genuine_files(real_data):
    files = sorted((real_data / "formats" / "merl_rav").glob("*/*.pts"))
    if not files:
        pytest.skip("no MERL-RAV annotations there")
    hidden = {pose: [] for pose in POSES}
    for path in files:
        annotation = read_signed_pts(path)
        codes = np.array(annotation.attributes["occlusion"])
        known = np.isfinite(annotation.points_K2).all(axis=1)
        np.testing.assert_array_equal(known, codes < 2)
        assert (annotation.points_K2[known] > 0).all()
        # Occluded landmarks keep to their face, so their sign was taken off.
        extent = np.ptp(annotation.points_K2[codes == 0], axis=0).max()
        centre = annotation.points_K2[codes == 0].mean(axis=0)
        assert (np.linalg.norm(annotation.points_K2[known] - centre, axis=1) < 1.2 * extent).all()
        hidden[path.parent.name].append([(codes[:8] == 2).mean(), (codes[9:17] == 2).mean()])
    # Of a face that looks to one side the other side of the jaw hides itself; of a frontal one neither.
    mean = {pose: np.mean(shares, axis=0) for pose, shares in hidden.items()}
    assert mean["frontal"].max() == 0
    assert mean["left"][1] > 0.9 > 0.1 > mean["left"][0]
    assert mean["right"][0] > 0.8 > 0.1 > mean["right"][1]
