"""Landmarks and heatmaps are drawn where they are."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.plots import draw_landmarks, face_grid, heatmap_panel
from pipeline.evaluation.plots.palette import PREDICTION, TRUTH
from pipeline.markup import Markup

POINTS = Markup("points", 1, (), ())
GREY = np.full((80, 80, 3), 127, dtype=np.uint8)


def centroid(image, colour):
    hit = (np.abs(image.astype(int) - np.array(colour)).max(axis=-1) < 40).nonzero()
    assert len(hit[0]), "the colour is nowhere"
    return np.array([hit[1].mean(), hit[0].mean()])


def test_landmarks_land_on_their_pixel_at_another_scale():
    image = draw_landmarks(GREY, np.array([[10.0, 60.0]]), np.array([[50.0, 20.0]]), POINTS, width=320)
    assert image.shape == (320, 320, 3)
    assert image.dtype == np.uint8
    # Pixel-centre convention: x of an 80 px image is 4·(x + ½) − ½ of a 320 px one.
    assert centroid(image, PREDICTION) == pytest.approx([41.5, 241.5], abs=0.6)
    assert centroid(image, TRUTH) == pytest.approx([201.5, 81.5], abs=0.6)


def test_a_point_marks_the_same_spot_of_the_image():
    image = np.zeros((80, 80, 3), dtype=np.uint8)
    image[20, 50] = 255
    enlarged = draw_landmarks(image, np.array([[5.0, 5.0]]), None, POINTS, width=320).astype(float)
    enlarged[:60, :60] = 0
    weights = enlarged.sum(axis=-1)
    rows, columns = np.mgrid[:320, :320]
    spot = ((weights * columns).sum() / weights.sum(), (weights * rows).sum() / weights.sum())
    assert spot == pytest.approx((201.5, 81.5), abs=0.3)


def nearest(image, at, colour):
    """How far the most similar pixel about (row, column) is from a colour."""
    row, column = at
    return np.abs(image[row - 2 : row + 3, column].astype(int) - np.array(colour)).max(axis=-1).min()


def test_curves_are_joined_and_unknown_landmarks_left_out(tiny):
    points = np.array([[10, 20], [30, 20], [50, 20], [70, 20], [40, 50], [40, 70]], dtype=float)
    image = draw_landmarks(GREY, points, None, tiny, width=320)
    assert nearest(image, (82, 82), PREDICTION) < 60  # on the left eye's line, between its points
    assert (image[78:86, 162] == 127).all()  # between the eyes there is no line
    hidden = draw_landmarks(GREY, points + 400, points, tiny, mask_K=np.arange(6) != 0, width=320)
    assert (hidden[78:86, 42] == 127).all()  # the masked truth is not drawn, nor a line to it
    assert (hidden[78:86, 82] == 127).all()
    assert nearest(hidden, (82, 122), TRUTH) < 60
    points[0] = np.nan
    assert draw_landmarks(GREY, points, points, tiny).shape == (320, 320, 3)


@pytest.mark.parametrize("far", [1e6, 1e9, 1e300, -1e12])
def test_landmarks_far_outside_leave_the_face_visible(tiny, far):
    points = np.full((6, 2), 40.0)
    points[:4] = far * np.arange(1, 5)[:, None]
    image = draw_landmarks(GREY, points, None, tiny)
    assert (image == 127).all(axis=-1).mean() > 0.9


def test_images_that_are_not_square_keep_their_proportions():
    image = draw_landmarks(GREY[:40], np.array([[5.0, 5.0]]), None, POINTS, width=200)
    assert image.shape == (100, 200, 3)


def heat_at(points, sigma, size=80):
    rows, columns = np.mgrid[:size, :size]
    maps = np.stack([np.exp(-(np.hypot(columns - x, rows - y) ** 2) / (2 * sigma**2)) for x, y in points])
    return maps / maps.sum(axis=(1, 2), keepdims=True)


def test_heatmap_panel_shows_heat_where_it_is_and_zooms_to_the_eye(tiny):
    points = [(20, 30), (30, 30), (50, 30), (60, 30), (40, 50), (40, 70)]
    panel = heatmap_panel(GREY, heat_at(points, 1.5), markup=tiny, width=240).astype(int)
    assert panel.shape == (240, 3 * 240 + 12, 3)
    face, overlay, zoom = panel[:, :240], panel[:, 246:486], panel[:, 492:]
    assert np.ptp(face) == 0  # the plain image
    dimmed = overlay[150, 20]
    for x, y in points:
        assert np.abs(overlay[3 * y + 1, 3 * x + 1] - dimmed).max() > 80
    # The zoom is centred between the left eye's corners, which lie 5 px either side of (25, 30).
    per_px = 240 / (0.28 * 80)
    for sign in (-1, 1):
        assert np.abs(zoom[120, round(120 + sign * 5 * per_px)] - dimmed).max() > 80
    assert np.abs(zoom[20, 120] - dimmed).max() < 10


def test_wider_heatmaps_look_wider_and_scale_does_not_matter(tiny):
    points = [(20, 30), (30, 30), (50, 30), (60, 30), (40, 50), (40, 70)]

    def heated(heatmaps):
        overlay = heatmap_panel(GREY, heatmaps, markup=tiny)[:, 246:486].astype(int)
        return (np.abs(overlay - overlay[-1, 0]).max(axis=-1) > 40).sum()

    sharp, wide = heat_at(points, 1.0), heat_at(points, 3.0)
    assert heated(wide) > 2 * heated(sharp)
    assert heated(sharp * 1e-3) == heated(sharp)
    coarse = heatmap_panel(GREY, wide[:, ::2, ::2])
    assert coarse.shape == (240, 732, 3)
    assert heatmap_panel(GREY, np.zeros((6, 80, 80)), markup=tiny).shape == (240, 732, 3)


def test_grid():
    images = [np.full((60, 60, 3), value, dtype=np.uint8) for value in (10, 60, 110, 160, 210)]
    grid = face_grid(images, ["short", "x" * 500, "", "δ", "e"], columns=3, width=120)
    assert grid.shape[1] == 360
    row = grid.shape[0] // 2
    assert [
        int(grid[r * row + 60, c * 120 + 60, 0]) for r, c in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))
    ] == [10, 60, 110, 160, 210]
    assert (grid[row + 60, 300] == 255).all()  # no sixth image
    assert (grid[120:row, :120] < 200).any()  # a caption is there
    assert (grid[120:row, 236:240] == 255).all()  # the long one was cut
    keyed = face_grid(
        images, [""] * 5, columns=3, width=120, legend=[(PREDICTION, "prediction"), (None, "words")]
    )
    line = keyed.shape[0] - grid.shape[0]
    assert 10 < line < 40
    assert (
        keyed[line:] == face_grid(images, [""] * 5, columns=3, width=120)
    ).all()  # what stood there is as it was
    assert (keyed[:line] == np.array(PREDICTION)).all(axis=-1).sum() > 50
    assert (keyed[:line, 90:] < 100).any()  # the words without a colour
    with pytest.raises(ValueError, match="5 images, 1 captions"):
        face_grid(images, ["one"])
