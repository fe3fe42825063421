"""Affine maps: round trips, images and landmarks in register, names of sides."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.augment.draws import step_generator
from pipeline.augment.geometry import (
    Geometry,
    affines,
    inside,
    inverse,
    move,
    random_affines,
    sampling,
    swap_sides,
    unchanged,
    warp,
)
from pipeline.errors import ConfigError
from pipeline.markup import load_markup, packaged_names

SEEDS = st.integers(0, 2**31)


def blobs(points_BK2: torch.Tensor, size: int, sigma: float = 2.0) -> torch.Tensor:
    """(B, K, S, S): a Gaussian at each landmark."""
    grid = torch.arange(size, dtype=torch.float64)
    x, y = ((grid - points_BK2[..., axis, None]) ** 2 for axis in (0, 1))
    return torch.exp(-(x[..., None, :] + y[..., :, None]) / (2 * sigma**2))


def centroids(images_BKSS: torch.Tensor) -> torch.Tensor:
    grid = torch.arange(images_BKSS.shape[-1], dtype=images_BKSS.dtype)
    mass = images_BKSS.sum((-2, -1))
    x, y = (images_BKSS * grid).sum((-2, -1)), (images_BKSS * grid[:, None]).sum((-2, -1))
    return torch.stack([x / mass, y / mass], -1)


def one(rotation=0.0, scale=1.0, shift=(0.0, 0.0), flip=False, side=64) -> torch.Tensor:
    values = (torch.tensor([v], dtype=torch.float64) for v in (rotation, scale))
    return affines(side, *values, torch.tensor([shift], dtype=torch.float64), torch.tensor([flip]))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (10.0, 20.0)),
        ({"flip": True}, (53.0, 20.0)),
        ({"rotation": 180.0}, (53.0, 43.0)),
        # Clockwise as seen: what is on the left goes up.
        ({"rotation": 90.0}, (43.0, 10.0)),
        ({"scale": 2.0}, (31.5 - 43.0, 31.5 - 23.0)),
        ({"shift": (0.25, -0.125)}, (26.0, 12.0)),
        # Mirrored first, then turned.
        ({"flip": True, "rotation": 90.0}, (43.0, 53.0)),
    ],
)
def test_a_landmark_goes_where_it_should(change, expected):
    moved = move(torch.tensor([[[10.0, 20.0]]], dtype=torch.float64), one(**change))
    assert moved[0, 0].tolist() == pytest.approx(expected, abs=1e-9)


def test_nothing_and_a_mirror_are_exact():
    assert unchanged(one()).item()
    assert one(flip=True).tolist() == [[[-1, 0, 63], [0, 1, 0]]]
    assert not unchanged(one(flip=True)).item()


@given(SEEDS, st.integers(16, 300))
@settings(max_examples=40, deadline=None)
def test_there_and_back(seed, side):
    generator = step_generator(seed, 0)
    affine = random_affines(8, side, rotation=180, scale=0.5, shift=0.3, flip=0.5, generator=generator)
    points = side * torch.rand(8, 20, 2, generator=generator)
    back = move(move(points, affine), inverse(affine))
    assert (back - points).abs().max() < 1e-3
    wide = affine.double()
    assert (move(move(points.double(), wide), inverse(wide)) - points).abs().max() < 1e-9


@given(SEEDS, st.sampled_from([63, 64, 100]))
@settings(max_examples=15, deadline=None)
def test_the_image_moves_as_its_landmarks_do(seed, side):
    generator = step_generator(seed, 0)
    affine = random_affines(4, side, rotation=45, scale=0.2, shift=0.05, flip=0.5, generator=generator)
    # In the middle, so that no blob is cut by an edge.
    points = (side - 1) / 2 + side * 0.15 * (2 * torch.rand(4, 3, 2, generator=generator).double() - 1)
    changed = warp(blobs(points, side), affine.double())
    assert (centroids(changed) - move(points, affine.double())).norm(dim=-1).max() < 0.05


def test_the_image_comes_back_too():
    points = torch.full((1, 1, 2), 31.0, dtype=torch.float64)
    image, affine = blobs(points, 64, sigma=4.0), one(rotation=25.0, scale=1.1, shift=(0.05, 0.02))
    back = warp(warp(image, affine), inverse(affine))
    assert (back - image).abs().max() < 0.05


def test_a_whole_pixel_shift_and_a_quarter_turn_are_exact():
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    shifted = warp(image, one(shift=(4 / 64, -2 / 64)))
    torch.testing.assert_close(shifted[..., :62, 4:], image[..., 2:, :60], rtol=0, atol=1e-12)
    turned = warp(image, one(rotation=90.0))
    torch.testing.assert_close(turned, image.rot90(-1, (-2, -1)), rtol=0, atol=1e-12)


def test_outside_is_the_border_or_black():
    image = torch.rand(1, 3, 32, 32)
    affine = one(shift=(0.25, 0.0), side=32)
    border, black = warp(image, affine), warp(image, affine, "zeros")
    torch.testing.assert_close(border[..., :8], image[..., :1].expand(-1, -1, -1, 8))
    assert black[..., :7].abs().max() == 0
    torch.testing.assert_close(border[..., 8:], black[..., 8:], atol=1e-5, rtol=0)


def test_grid_sample_reads_where_the_map_says():
    coordinates = sampling(one(), 64)[0]
    assert torch.allclose(
        coordinates, torch.tensor([[1 / 32, 0, 1 / 64 - 1], [0, 1 / 32, 1 / 64 - 1]]).double()
    )


def test_gradients_reach_images_landmarks_and_maps():
    affine = one(rotation=10.0, side=8).requires_grad_()
    image = torch.rand(1, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    points = torch.rand(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(move, (points, affine))
    assert torch.autograd.gradcheck(warp, (image, affine))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_keeps_the_images_type(dtype):
    image = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    affine = random_affines(2, 32, rotation=30, generator=step_generator(0, 0))
    changed = warp(image.to(dtype), affine)
    assert changed.dtype == dtype
    assert (changed.double() - warp(image, affine.double())).abs().max() < {2: 0.01, 4: 1e-4}[dtype.itemsize]


def test_autocast_takes_no_digits():
    points, affine = 200 * torch.rand(4, 68, 2), random_affines(4, 256, rotation=30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(move(points, affine), move(points, affine))
        inner = move(points, affine)
    assert torch.equal(inner, move(points, affine))


def test_an_unknown_landmark_stays_unknown():
    moved = move(torch.tensor([[[math.nan, math.nan], [1.0, 2.0]]]), one(rotation=20.0))
    assert moved.isnan().tolist() == [[[True, True], [False, False]]]


def test_inside_is_by_pixels_and_margin():
    points = torch.tensor([[[-0.5, 31.5], [-0.6, 0], [0, 31.6], [math.nan, 0], [-2.5, 33.5]]])
    assert inside(points, 32).tolist() == [[True, False, False, False, False]]
    assert inside(points, 32, margin=2.0).tolist() == [[True, True, True, False, True]]


@pytest.mark.parametrize("name", packaged_names())
def test_mirrored_landmarks_change_their_names(name):
    markup = load_markup(name)
    order = torch.from_numpy(markup.flip_permutation)
    values = torch.arange(2 * markup.num_landmarks).view(2, -1)
    swapped = swap_sides(values, torch.tensor([True, False]), order)
    assert torch.equal(swapped[1], values[1])
    for left, right in markup.flip_pairs:
        assert (swapped[0, left], swapped[0, right]) == (values[0, right], values[0, left])
    assert torch.equal(swap_sides(swapped, torch.tensor([True, False]), order), values)
    points = torch.rand(2, markup.num_landmarks, 2)
    assert torch.equal(swap_sides(points, torch.tensor([True, True]), order), points[:, order])


def test_random_maps_fill_their_ranges_and_no_more():
    affine = random_affines(
        4000, 100, rotation=30, scale=0.2, shift=0.1, flip=0.25, generator=step_generator(3, 0)
    )
    determinant = torch.linalg.det(affine[:, :, :2])
    assert affine.dtype == torch.float32
    assert (determinant < 0).float().mean() == pytest.approx(0.25, abs=0.03)
    factor = determinant.abs().sqrt()
    assert 0.8 <= factor.min() < 0.81
    assert 1.19 < factor.max() <= 1.2001
    angle = torch.rad2deg(torch.atan2(-affine[:, 0, 1], affine[:, 1, 1]))
    assert 29.5 < angle.abs().max() <= 30.001
    assert abs(angle.mean()) < 1
    shift = move(torch.full((4000, 1, 2), 49.5), affine)[:, 0] - 49.5
    assert 9.9 < shift.abs().max() <= 10.001
    assert torch.equal(
        affine,
        random_affines(
            4000, 100, rotation=30, scale=0.2, shift=0.1, flip=0.25, generator=step_generator(3, 0)
        ),
    )


def test_each_part_has_its_probability():
    u = torch.rand(5000, Geometry.columns, dtype=torch.float64)
    affine, flip, scale = Geometry(20, 0.1, 0.1, 0.3, 0.5, 0.2, 0.7).draw(u, 100)
    assert flip.double().mean() == pytest.approx(0.3, abs=0.03)
    assert (scale != 1).double().mean() == pytest.approx(0.2, abs=0.03)
    assert (affine[:, 0, 1] != 0).double().mean() == pytest.approx(0.5, abs=0.03)
    # At 0 and 1 there is nothing left to chance.
    assert unchanged(Geometry(20, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0).draw(u, 100)[0]).all()
    assert Geometry(flip=1.0).draw(u, 100)[1].all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotation": -1},
        {"rotation": 181},
        {"scale": 1.0},
        {"translation": 0.6},
        {"flip": 1.1},
        {"scale_probability": math.nan},
    ],
)
def test_impossible_ranges_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Geometry(**wrong)


def test_only_squares():
    with pytest.raises(ValueError, match="squares"):
        warp(torch.rand(1, 3, 8, 9), one(side=8))
