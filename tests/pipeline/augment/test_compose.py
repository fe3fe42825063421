"""A whole pass: images, landmarks, mask and visibility stay together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.augment.batch import FaceBatch
from pipeline.augment.custom import Custom
from pipeline.augment.draws import step_generator
from pipeline.augment.geometry import move
from pipeline.errors import ConfigError
from pipeline.markup import Markup, load_markup

MTFL, IBUG = load_markup("mtfl5"), load_markup("ibug68")
EVERYTHING = {
    "rotation": 25,
    "scale": 0.15,
    "translation": 0.05,
    "flip": 0.5,
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.3,
    "channels": 0.1,
    "hue": 10,
    "grey": 0.2,
    "blur": 0.4,
    "occlusion": 0.5,
}


def faces(seed: int, count: int = 4, size: int = 64, markup=MTFL, spread: float = 0.4) -> FaceBatch:
    """Landmarks around the middle, some unknown, some hidden."""
    generator = torch.Generator().manual_seed(seed)
    landmarks = markup.num_landmarks
    points = (size - 1) / 2 + size * spread * (2 * torch.rand(count, landmarks, 2, generator=generator) - 1)
    known, seen = (torch.rand(count, landmarks, generator=generator) < share for share in (0.9, 0.8))
    points[~known] = torch.nan
    return FaceBatch(torch.rand(count, 3, size, size, generator=generator), points, known, known & seen)


def run(batch: FaceBatch, seed: int = 0, markup=MTFL, **parameters):
    return Custom(markup, **parameters)(batch, step_generator(seed, 0))


def equal(a: FaceBatch, b: FaceBatch) -> bool:
    pairs = zip(vars(a).values(), vars(b).values(), strict=True)
    return all(torch.equal(x.nan_to_num(), y.nan_to_num()) for x, y in pairs)


@given(st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_nothing_asked_for_changes_nothing_to_the_bit(seed):
    batch = faces(seed)
    changed = run(batch, seed)
    assert equal(changed.batch, batch)
    assert torch.equal(changed.affine_B23, torch.eye(2, 3).expand(4, -1, -1))
    assert not changed.flip_B.any()
    assert changed.batch.images_B3SS.data_ptr() != batch.images_B3SS.data_ptr()


@given(st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_mirrored_twice_is_what_it_was_to_the_bit(seed):
    batch = faces(seed, markup=IBUG)
    # Sixty-fourths of a pixel: what float32 mirrors without rounding.
    batch = replace(batch, points_BK2=(batch.points_BK2 * 64).round() / 64)
    once = run(batch, markup=IBUG, flip=1.0).batch
    assert torch.equal(once.images_B3SS, batch.images_B3SS.flip(-1))
    left, right = IBUG.ocular
    mirrored = 63 - batch.points_BK2[:, right, 0]
    assert torch.equal(once.points_BK2[:, left, 0].nan_to_num(), mirrored.nan_to_num())
    assert torch.equal(once.mask_BK[:, left], batch.mask_BK[:, right])
    assert torch.equal(once.visible_BK[:, left], batch.visible_BK[:, right])
    assert equal(run(once, markup=IBUG, flip=1.0).batch, batch)


@given(st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_what_is_drawn_at_a_landmark_stays_there(seed):
    size, batch = 96, faces(seed, size=96, spread=0.25)
    batch = replace(batch, points_BK2=torch.where(batch.mask_BK[..., None], batch.points_BK2, 48.0))
    grid = torch.arange(float(size))
    shown = batch.points_BK2[:, :3]
    x, y = ((grid - shown[..., axis, None]) ** 2 for axis in (0, 1))
    images = torch.exp(-(x[..., None, :] + y[..., :, None]) / 8)
    # The first three landmarks, one a channel; landmark 2, the nose, is the only one that keeps its name when mirrored.
    changed = run(
        replace(batch, images_B3SS=images),
        seed,
        rotation=30,
        scale=0.25,
        translation=0.05,
        flip=0.5,
        blur=0.5,
    )
    got = changed.batch.images_B3SS.double()
    mass = got.sum((-2, -1))
    centroids = (
        torch.stack([(got * grid).sum((-2, -1)), (got * grid[:, None]).sum((-2, -1))], -1) / mass[..., None]
    )
    flip = changed.flip_B[:, None, None]
    order = torch.from_numpy(MTFL.flip_permutation)
    expected = torch.where(flip, changed.batch.points_BK2[:, order], changed.batch.points_BK2)[:, :3]
    assert (centroids - expected).norm(dim=-1).max() < 0.1


@given(st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_landmarks_follow_the_returned_map(seed):
    batch = faces(seed, markup=IBUG)
    changed = run(batch, seed, markup=IBUG, **EVERYTHING)
    order = torch.from_numpy(IBUG.flip_permutation)
    moved = move(batch.points_BK2, changed.affine_B23)
    expected = torch.where(changed.flip_B[:, None, None], moved[:, order], moved)
    torch.testing.assert_close(changed.batch.points_BK2, expected, atol=1e-3, rtol=0, equal_nan=True)
    known = torch.where(changed.flip_B[:, None], batch.mask_BK[:, order], batch.mask_BK)
    # Unknown landmarks stay unknown, known ones known; nothing is seen that is not.
    assert torch.equal(changed.batch.points_BK2.isfinite().all(-1), known)
    assert not (changed.batch.mask_BK & ~known).any()
    assert not (changed.batch.visible_BK & ~changed.batch.mask_BK).any()
    rounding = 1e-6  # of weights that add up to one
    assert -rounding <= changed.batch.images_B3SS.min() <= changed.batch.images_B3SS.max() <= 1 + rounding


def test_out_of_the_image_is_masked_beyond_the_margin():
    points = torch.tensor([[[1.0, 30.0], [30.0, 30.0], [62.0, 30.0], [2.0, 2.0], [40.0, 62.5]]])
    all_known = torch.ones(1, 5, dtype=torch.bool)
    batch = FaceBatch(torch.rand(1, 3, 64, 64), points, all_known, all_known)
    # Of 200 draws, look at what each one moved where.
    strict = [run(batch, seed, translation=0.1) for seed in range(200)]
    loose = [run(batch, seed, translation=0.1, margin=0.05) for seed in range(200)]
    for got, margin in [(g, 0.0) for g in strict] + [(g, 3.2) for g in loose]:
        where = got.batch.points_BK2[0]
        within = ((where >= -0.5 - margin) & (where <= 63.5 + margin)).all(-1)
        assert torch.equal(got.batch.mask_BK[0], within)
        assert torch.equal(got.batch.visible_BK[0], within)
        assert where.isfinite().all()
    assert sum(int((~g.batch.mask_BK).sum()) for g in strict) > sum(
        int((~g.batch.mask_BK).sum()) for g in loose
    )


def test_a_landmark_outside_of_an_untouched_image_is_left_alone():
    batch = faces(0)
    points = batch.points_BK2.clone()
    points[0, 0] = torch.tensor([-5.0, 10.0])
    known = torch.ones_like(batch.mask_BK)
    changed = run(replace(batch, points_BK2=points, mask_BK=known, visible_BK=known), grey=0.5, blur=0.5)
    assert changed.batch.mask_BK.all()


def test_a_covered_landmark_is_hidden_and_still_counts():
    batch = faces(1, count=16)
    changed = run(batch, 1, occlusion=1.0, occlusion_size=(0.4, 0.8)).batch
    assert torch.equal(changed.mask_BK, batch.mask_BK)
    different = (changed.images_B3SS != batch.images_B3SS).any(1)
    known = batch.points_BK2.nan_to_num().round().long()
    under = different[torch.arange(16)[:, None], known[..., 1], known[..., 0]] & batch.mask_BK
    assert torch.equal(changed.visible_BK, batch.visible_BK & ~under)
    assert (changed.visible_BK != batch.visible_BK).any()


def test_same_state_same_result_and_another_state_another():
    batch = faces(2)
    first, again, other = (run(batch, seed, **EVERYTHING) for seed in (5, 5, 6))
    assert equal(first.batch, again.batch)
    assert torch.equal(first.affine_B23, again.affine_B23)
    assert not equal(first.batch, other.batch)


@pytest.mark.parametrize("world_size", [2, 4])
def test_any_number_of_ranks_changes_each_sample_alike(world_size):
    batch, augmentation = faces(3, count=8), Custom(MTFL, **EVERYTHING)
    whole = augmentation(batch, step_generator(1, 2)).batch
    for rank in range(world_size):
        share = FaceBatch(*(part[rank::world_size].contiguous() for part in vars(batch).values()))
        assert equal(
            augmentation(share, step_generator(1, 2), rank, world_size).batch,
            FaceBatch(*(part[rank::world_size] for part in vars(whole).values())),
        )


@pytest.mark.parametrize("without", ["blur", "occlusion", "grey", "flip", "hue", "rotation"])
def test_one_operation_less_leaves_the_others_draws(without):
    batch = faces(4, count=8)
    full = run(batch, 7, **EVERYTHING)
    less = run(batch, 7, **{**EVERYTHING, without: 0.0})
    assert not equal(full.batch, less.batch)
    if without == "rotation":
        assert torch.equal(full.flip_B, less.flip_B)
    elif without == "flip":
        # The column of y has turn and scale, and no mirror.
        assert torch.equal(full.affine_B23[:, :, 1], less.affine_B23[:, :, 1])
    else:
        assert torch.equal(full.affine_B23, less.affine_B23)
        assert torch.equal(full.batch.points_BK2.nan_to_num(), less.batch.points_BK2.nan_to_num())


@pytest.mark.parametrize("empty", [False, True])
def test_images_without_landmarks(empty):
    batch = faces(6)
    flags = torch.zeros(4, 0, dtype=torch.bool)
    plain = (
        FaceBatch(batch.images_B3SS, torch.zeros(4, 0, 2), flags, flags)
        if empty
        else FaceBatch(batch.images_B3SS)
    )
    changed = run(plain, 3, **EVERYTHING).batch
    assert torch.equal(changed.images_B3SS, run(batch, 3, **EVERYTHING).batch.images_B3SS)
    assert changed.points_BK2 is plain.points_BK2


def test_bfloat16_and_autocast():
    batch = faces(9)
    expected = run(batch, 2, **EVERYTHING).batch
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert equal(run(batch, 2, **EVERYTHING).batch, expected)
    half = run(replace(batch, images_B3SS=batch.images_B3SS.bfloat16()), 2, **EVERYTHING).batch
    assert half.images_B3SS.dtype == torch.bfloat16
    assert torch.equal(half.points_BK2.nan_to_num(), expected.points_BK2.nan_to_num())
    assert (half.images_B3SS.float() - expected.images_B3SS).abs().mean() < 0.005


def test_landmarks_of_another_markup_are_refused():
    with pytest.raises(ValueError, match="5 landmarks, the markup has 68"):
        run(faces(0), markup=IBUG, flip=0.5)


def test_only_what_mirrors_asks_which_landmarks_change_sides():
    unknown = Markup("hand", 5, ())
    assert Custom(unknown, rotation=20.0).permutation_K.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ConfigError, match="'hand' has no 'flip_pairs'"):
        Custom(unknown, flip=0.1)


def test_no_images_at_all():
    none = FaceBatch(*(part[:0] for part in vars(faces(0)).values()))
    assert run(none, **EVERYTHING).batch.images_B3SS.shape == (0, 3, 64, 64)


def test_an_impossible_margin_is_refused():
    with pytest.raises(ConfigError, match="margin"):
        Custom(MTFL, margin=-0.1)
