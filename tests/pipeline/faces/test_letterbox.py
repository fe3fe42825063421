from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.faces.letterbox import choose_letterbox, render

CANVASES = ((160, 160), (160, 120), (120, 160))


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0, 0.3))
def test_the_image_fits_and_keeps_its_aspect(width, height, margin):
    place = choose_letterbox(width, height, CANVASES, margin)
    assert place.left >= 0
    assert place.top >= 0
    assert place.left + place.width <= place.canvas[0]
    assert place.top + place.height <= place.canvas[1]
    # Rounding to whole pixels is the only distortion.
    assert place.width == pytest.approx(width * place.height / height, abs=0.51 + width / height) or 1 in (
        place.width,
        place.height,
    )


@pytest.mark.parametrize(
    ("size", "canvas"), [((300, 300), (160, 160)), ((400, 300), (160, 120)), ((90, 120), (120, 160))]
)
def test_the_canvas_of_the_images_shape_is_chosen(size, canvas):
    assert choose_letterbox(*size, CANVASES, 0.1).canvas == canvas


@pytest.mark.parametrize("size", [(333, 250), (64, 64), (1200, 1555)])
def test_a_blob_is_mapped_back_to_where_it_was(size):
    width, height = size
    target = np.array([0.37 * width + 0.21, 0.61 * height - 0.4])
    y, x = np.mgrid[:height, :width]
    sigma = max(size) / 30
    grey = 255 * np.exp(-((x - target[0]) ** 2 + (y - target[1]) ** 2) / (2 * sigma**2))
    place = choose_letterbox(width, height, CANVASES, 0.1)
    canvas = render(np.repeat(grey[..., None], 3, axis=2).round().astype(np.uint8), place)[..., 0].astype(
        np.float64
    )
    assert canvas.shape == (place.canvas[1], place.canvas[0])
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]]
    found = np.array([(x * canvas).sum(), (y * canvas).sum()]) / canvas.sum()
    # 0.03 canvas px; an error of half a pixel would be 0.5 / scale - 0.5 original px.
    np.testing.assert_allclose(place.to_original(found), target, atol=0.03 / min(place.scale))


def test_the_border_replicates_the_image():
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    place = choose_letterbox(128, 128, ((160, 160),), 0.1)
    np.testing.assert_array_equal(
        render(image, place), np.pad(image, ((16, 16), (16, 16), (0, 0)), mode="edge")
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (2, 3)])
def test_extreme_images_get_a_canvas(size):
    place = choose_letterbox(*size, CANVASES, 0.1)
    canvas = render(np.full((size[1], size[0], 3), 50, dtype=np.uint8), place)
    assert (canvas == 50).all()
