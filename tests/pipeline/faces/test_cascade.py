from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.faces.cascade import Cascade, cut_out, shrink, squares, summed_area, suppress, suppress_nested


@pytest.fixture(scope="module")
def images_BHW3() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 50, 70, 3), generator=generator, dtype=torch.uint8)


def area_resize(image_HW3: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """torch's own area interpolation, on float64."""
    chw = image_HW3.permute(2, 0, 1)[None].double()
    return ((torch.nn.functional.interpolate(chw, size=(height, width), mode="area") - 127.5) / 128)[0]


@pytest.mark.parametrize("size", [(12, 17), (25, 35), (50, 70), (33, 70), (60, 80)])
def test_a_pyramid_level_is_torchs_area_interpolation(images_BHW3, size):
    levels = shrink(summed_area(images_BHW3), *size)
    for image, level in zip(images_BHW3, levels, strict=True):
        torch.testing.assert_close(level.double(), area_resize(image, *size), atol=2e-6, rtol=0)


@pytest.mark.parametrize("size", [24, 48])
def test_a_candidate_is_torchs_area_interpolation_of_its_square(images_BHW3, size):
    boxes = torch.tensor([[3, 4, 33, 34], [0, 0, 50, 50], [40, 20, 45, 25], [10, 1, 58, 49]])
    image = torch.tensor([0, 2, 1, 2])
    found = cut_out(summed_area(images_BHW3), image, boxes, size)
    for patch, i, (left, top, right, bottom) in zip(found, image, boxes.tolist(), strict=True):
        expected = area_resize(images_BHW3[i, top:bottom, left:right], size, size)
        torch.testing.assert_close(patch.double(), expected, atol=2e-6, rtol=0)


def test_a_candidate_over_the_border_is_padded_with_black(images_BHW3):
    pad = 40
    padded = torch.nn.functional.pad(images_BHW3, (0, 0, pad, pad, pad, pad))
    boxes = torch.tensor([[-10, -7, 30, 33], [50, 30, 90, 70], [-20, -20, 85, 85], [-39, -39, -9, -9]])
    image = torch.tensor([0, 1, 2, 0])
    found = cut_out(summed_area(images_BHW3), image, boxes, 24)
    for patch, i, (left, top, right, bottom) in zip(found, image, (boxes + pad).tolist(), strict=True):
        expected = area_resize(padded[i, top:bottom, left:right], 24, 24)
        torch.testing.assert_close(patch.double(), expected, atol=2e-6, rtol=0)


def test_the_table_is_exact_where_float32_would_not_be():
    white = torch.full((1, 400, 400, 3), 255, dtype=torch.uint8)
    table = summed_area(white)
    assert int(table[0, -1, -1, 0]) == 255 * 400 * 400  # above 2^24
    torch.testing.assert_close(shrink(table, 50, 50), torch.full((1, 3, 50, 50), 127.5 / 128))


def overlap(a: np.ndarray, b: np.ndarray, *, smaller: bool) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return wide * high / (min(areas) if smaller else sum(areas) - wide * high)


def test_windows_overlap_by_more_than_half_exactly_in_the_3_by_3_neighbourhood():
    window = np.array([0, 0, 12, 12])
    for dx in range(-6, 7):
        for dy in range(-6, 7):
            shifted = window + 2 * np.array([dx, dy, dx, dy])
            assert (overlap(window, shifted, smaller=False) > 0.5) == (max(abs(dx), abs(dy)) <= 1)


def greedy(
    boxes: np.ndarray, scores: np.ndarray, image: np.ndarray, limit: float, *, smaller: bool
) -> set[int]:
    kept: list[int] = []
    for i in np.argsort(-scores):
        if all(image[i] != image[j] or overlap(boxes[i], boxes[j], smaller=smaller) <= limit for j in kept):
            kept.append(int(i))
    return set(kept)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.7]))
def test_suppression_is_the_greedy_one_within_each_image(seed, limit):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (24, 2))
    boxes = np.hstack((corner, corner + rng.uniform(5, 40, (24, 2)))).astype(np.float32)
    scores = rng.permutation(24).astype(np.float32) / 24
    image = np.sort(rng.integers(0, 4, 24)) * 3  # images without candidates in between
    tensors = (torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(image))
    for function, smaller in ((suppress, False), (suppress_nested, True)):
        kept = function(*tensors, limit).tolist()
        assert set(kept) == greedy(boxes, scores, image, limit, smaller=smaller)
        assert len(kept) == len(set(kept))
        assert [(image[i], -scores[i]) for i in kept] == sorted((image[i], -scores[i]) for i in kept)


def test_suppression_of_nothing_is_nothing():
    nothing = (torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert len(suppress(*nothing, 0.5)) == 0
    assert len(suppress_nested(*nothing, 0.5)) == 0


@given(st.lists(st.floats(-100, 200, width=32), min_size=4, max_size=4))
def test_squares_are_square_and_share_the_boxs_centre(numbers):
    a, b, c, d = numbers
    box = torch.tensor([[min(a, c), min(b, d), max(a, c), max(b, d)]])
    left, top, right, bottom = squares(box)[0].tolist()
    assert right - left == bottom - top >= 2
    assert abs((right - left) - max(2, float((box[0, 2:] - box[0, :2]).max()))) <= 0.5 + 1e-4
    assert abs((left + right) / 2 - float(box[0, 0] + box[0, 2]) / 2) <= 0.5 + 1e-4
    assert abs((top + bottom) / 2 - float(box[0, 1] + box[0, 3]) / 2) <= 0.5 + 1e-4


def test_a_face_larger_than_the_image_gives_no_levels_and_no_faces(images_BHW3):
    found = Cascade((0.6, 0.7, 0.7), 0.709, 64)(images_BHW3, min_face=60.0)
    assert found.boxes_N4.shape == (0, 4)
    assert found.points_N52.shape == (0, 5, 2)


def test_candidates_per_image_are_bounded_to_the_best():
    cascade = Cascade((0.0, 0.0, 0.0), 0.709, max_candidates=5)
    table = summed_area(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    _, image = cascade._propose(table, 16.0)
    assert torch.bincount(image).tolist() == [5, 5]
