from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.faces.crop import Crop, crop_around, extract, moved

coordinate = st.floats(-500, 500)
crops = st.builds(Crop, coordinate, coordinate, st.floats(5, 800), st.integers(16, 256))


def blob(height: int, width: int, centre: tuple[float, float], sigma: float) -> np.ndarray:
    """A bright Gaussian on black whose centroid is at ``centre`` (x, y), pixel-centre convention."""
    y, x = np.mgrid[:height, :width]
    grey = 255 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2))
    return np.repeat(np.round(grey)[..., None], 3, axis=2).astype(np.uint8)


def centroid(image_HW3: np.ndarray) -> np.ndarray:
    weight = image_HW3[..., 0].astype(np.float64)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@given(crops, st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=5))
def test_points_survive_the_round_trip(crop, points):
    points_N2 = np.array(points)
    np.testing.assert_allclose(crop.to_original(crop.to_crop(points_N2)), points_N2, atol=1e-9)
    np.testing.assert_allclose(crop.to_crop(crop.to_original(points_N2)), points_N2, atol=1e-7)


@given(crops)
def test_the_squares_corners_are_the_outer_edges_of_the_stored_pixels(crop):
    corners = np.array([[crop.left, crop.top], [crop.left + crop.side, crop.top + crop.side]]) - 0.5
    np.testing.assert_allclose(crop.to_crop(corners), [[-0.5] * 2, [crop.size - 0.5] * 2], atol=1e-7)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=8, unique=True), st.floats(1.0, 4.0))
def test_the_square_is_centred_on_the_points_and_contains_them(points, factor):
    points_N2 = np.array(points)
    extent = (points_N2.max(axis=0) - points_N2.min(axis=0)).max()
    if extent < 1e-3:
        return
    crop = crop_around(points_N2, side_factor=factor + 1e-6, size=64)
    assert crop.side == pytest.approx(extent * factor, rel=1e-5)
    middle = (points_N2.max(axis=0) + points_N2.min(axis=0)) / 2
    np.testing.assert_allclose(crop.to_crop(middle), [31.5, 31.5], atol=1e-6)
    assert crop.contains(points_N2).all()
    assert not crop.contains(middle + np.array([crop.side * 0.51, 0]))


def test_points_without_extent_define_no_square():
    with pytest.raises(ValueError, match="no area"):
        crop_around(np.array([[3.0, 4.0], [3.0, 4.0]]), side_factor=3, size=64)
    with pytest.raises(ValueError, match="no area"):
        crop_around(np.array([[3.0, np.nan], [5.0, 4.0]]), side_factor=3, size=64)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(90, 110),
    st.floats(90, 110),
    st.floats(-10, 10),
    st.floats(-10, 10),
    st.floats(60, 180),
    st.integers(40, 256),
)
def test_a_blob_lands_where_to_crop_says(x, y, dx, dy, side, size):
    crop = Crop(x + 0.5 - side / 2 + dx, y + 0.5 - side / 2 + dy, side, size)
    stored = extract(blob(200, 200, (x, y), 4.0), crop)
    assert stored.shape == (size, size, 3)
    # An error in the half-pixel convention would show as |1 - scale| / 2, up to 0.9 px here.
    np.testing.assert_allclose(
        centroid(stored), crop.to_crop(np.array([x, y])), atol=0.06 * max(1, crop.scale)
    )


def test_the_identity_crop_returns_the_image():
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(extract(image, Crop(0, 0, 48, 48)), image)


def test_a_whole_pixel_crop_copies_pixels():
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    np.testing.assert_array_equal(extract(image, Crop(11, 7, 32, 32)), image[7:39, 11:43])


def test_outside_the_image_its_border_is_replicated():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    stored = extract(image, Crop(-20, -10, 80, 80))
    np.testing.assert_array_equal(stored, np.pad(image, ((10, 30), (20, 20), (0, 0)), mode="edge"))


def test_a_crop_wholly_outside_shows_the_nearest_corner():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    stored = extract(image, Crop(100, 100, 30, 16))
    assert (stored == image[-1, -1]).all()


def test_down_sampling_averages_instead_of_picking():
    # A 1 px checkerboard shrunk by an odd factor aliases to black and white unless it is averaged.
    checker = ((np.indices((210, 210)).sum(axis=0) % 2) * 255).astype(np.uint8)
    stored = extract(np.repeat(checker[..., None], 3, axis=2), Crop(0, 0, 210, 30))
    assert np.abs(stored[2:-2, 2:-2].astype(int) - 127).max() <= 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 2)])
def test_tiny_images_can_be_cut(shape):
    image = np.full((*shape, 3), 77, dtype=np.uint8)
    assert (extract(image, Crop(-1.3, -2.7, 5.5, 32)) == 77).all()


def test_a_moved_square_has_its_centre_and_side_where_they_were_asked_to_be():
    crop = moved(Crop(10.0, 20.0, 100.0, 80), (0.05, -0.1), 1.2)
    assert (crop.side, crop.size) == (120.0, 80)
    assert (crop.left + 60, crop.top + 60) == (60.0 + 5.0, 70.0 - 10.0)
