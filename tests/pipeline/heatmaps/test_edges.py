import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.heatmaps.edges import edge_maps
from pipeline.markup import Curve, load_markup

OPEN = Curve("open", (0, 1, 2))
CLOSED = Curve("closed", (0, 1, 2), closed=True)


def distance(point, start, end):
    """From a point to a segment, by the textbook's three cases."""
    point, start, end = (np.asarray(p, dtype=float) for p in (point, start, end))
    if np.allclose(start, end):
        return np.linalg.norm(point - start)
    if (point - start) @ (end - start) <= 0:
        return np.linalg.norm(point - start)
    if (point - end) @ (start - end) <= 0:
        return np.linalg.norm(point - end)
    (x0, y0), (x1, y1), (px, py) = start, end, point
    return abs((x1 - x0) * (y0 - py) - (x0 - px) * (y1 - y0)) / np.linalg.norm(end - start)


@pytest.mark.parametrize("curve", [OPEN, CLOSED])
@pytest.mark.parametrize("profile", ["line", "gaussian"])
@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_each_cell_by_its_distance_to_the_nearest_segment(curve, profile, width):
    points = torch.rand(2, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 14 - 2
    drawn = edge_maps(points, [curve], (9, 11), width, profile=profile).edges_BEHW
    assert drawn.shape == (2, 1, 9, 11)
    for b in range(2):
        for y in range(9):
            for x in range(11):
                d = min(distance((x, y), points[b, i], points[b, j]) for i, j in curve.segments)
                covered = max(min(d + 0.5, width / 2) - max(d - 0.5, -width / 2), 0.0)
                expected = covered if profile == "line" else math.exp(-0.5 * (d / width) ** 2)
                assert drawn[b, 0, y, x].item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.floats(3, 12), st.floats(0.3, 4))
def test_a_lines_width_is_the_sum_across_it(y, width):
    points = torch.tensor([[[-50.0, y], [50.0, y]]], dtype=torch.float64)
    drawn = edge_maps(points, [Curve("line", (0, 1))], (16, 8), width).edges_BEHW
    torch.testing.assert_close(drawn.sum(-2), torch.full((1, 1, 8), width, dtype=torch.float64))


def test_a_missing_landmark_takes_its_segments_away():
    points = torch.tensor([[[2.0, 2.0], [12.0, 2.0], [12.0, 12.0]]])
    mask = torch.tensor([[True, True, False]])
    gone = points.clone()
    gone[0, 2] = torch.nan
    drawn = edge_maps(gone, [OPEN, Curve("pair", (0, 1))], (16, 16), mask_BK=mask)
    assert drawn.complete_BE.tolist() == [[False, True]]
    assert drawn.edges_BEHW.isfinite().all()
    assert torch.equal(drawn.edges_BEHW[:, 0], drawn.edges_BEHW[:, 1])
    nothing = edge_maps(gone, [OPEN], (16, 16), mask_BK=torch.zeros(1, 3))
    assert nothing.edges_BEHW.eq(0).all()
    assert not nothing.complete_BE.any()


def test_landmarks_in_one_place_and_a_curve_of_one_are_dots():
    points = torch.tensor([[[5.0, 4.0], [5.0, 4.0]]])
    drawn = edge_maps(points, [Curve("pair", (0, 1)), Curve("dot", (0,))], (9, 9)).edges_BEHW
    assert drawn.isfinite().all()
    assert torch.equal(drawn[:, 0], drawn[:, 1])
    assert drawn[0, 0].nonzero().tolist() == [[4, 5]]


def test_every_curve_of_a_markup_in_a_batch():
    markup = load_markup("ibug68")
    points = torch.rand(3, 68, 2) * 64
    drawn = edge_maps(points, markup.curves, (64, 64))
    assert drawn.edges_BEHW.shape == (3, len(markup.curves), 64, 64)
    one = edge_maps(points[1:2], markup.curves, (64, 64)).edges_BEHW
    torch.testing.assert_close(drawn.edges_BEHW[1:2], one)
    assert edge_maps(points, (), (8, 8)).edges_BEHW.shape == (3, 0, 8, 8)


def test_mirroring_the_points_mirrors_the_maps():
    points = torch.rand(1, 3, 2, dtype=torch.float64) * 15
    mirrored = points.clone()
    mirrored[..., 0] = 15 - mirrored[..., 0]
    torch.testing.assert_close(
        edge_maps(mirrored, [CLOSED], (16, 16)).edges_BEHW,
        edge_maps(points, [CLOSED], (16, 16)).edges_BEHW.flip(-1),
    )


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_width_that_draws_nothing_is_refused(bad):
    points = torch.zeros(1, 3, 2)
    with pytest.raises(ValueError, match="width"):
        edge_maps(points, [OPEN], (4, 4), bad)
