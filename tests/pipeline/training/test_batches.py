"""Landmarks stay on what they mark when images are resampled; masks say what counts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.augment.custom import Custom
from pipeline.augment.draws import step_generator
from pipeline.augment.geometry import move
from pipeline.markup import load_markup
from pipeline.shards.device import to_device
from pipeline.shards.loader import Batch
from pipeline.training.batches import augmented

CPU = torch.device("cpu")


def batch(images: np.ndarray, points: np.ndarray, visible=None, valid=None, scale=1.0) -> Batch:
    count, landmarks = points.shape[:2]
    return Batch(
        images_B3SS=torch.from_numpy(images),
        points_BK2=torch.from_numpy(points.astype(np.float32)),
        visible_BK=torch.ones(count, landmarks, dtype=torch.bool)
        if visible is None
        else torch.tensor(visible),
        valid_B=torch.ones(count, dtype=torch.bool) if valid is None else torch.tensor(valid),
        keys=[f"k{i}" for i in range(count)],
        scale_B=torch.full((count,), scale),
        five_B52=torch.arange(10.0).view(1, 5, 2).repeat(count, 1, 1),
    )


def blobs(points_B2: np.ndarray, size: int) -> np.ndarray:
    """(B, 3, size, size) uint8: a Gaussian of 4 px at each point, (x, y) pixel centres."""
    y, x = np.mgrid[:size, :size]
    maps = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 4.0**2)) for px, py in points_B2]
    return np.repeat(np.round(255 * np.stack(maps)).astype(np.uint8)[:, None], 3, axis=1)


def centroids(images: torch.Tensor) -> np.ndarray:
    grey = images[:, 0].double()
    y, x = torch.meshgrid(torch.arange(grey.shape[1]), torch.arange(grey.shape[2]), indexing="ij")
    mass = grey.sum((1, 2))
    return torch.stack([(grey * x).sum((1, 2)) / mass, (grey * y).sum((1, 2)) / mass], dim=1).numpy()


@pytest.mark.parametrize("size", [64, 80, 96, 160, 40])
def test_landmarks_stay_in_register(size):
    points = np.array([[39.5, 39.5], [30.2, 44.7], [50.0, 27.3], [26.4, 25.6]])
    got = to_device(batch(blobs(points, 80), points[:, None]), CPU, size)
    assert got.images_B3HW.shape == (4, 3, size, size)
    np.testing.assert_allclose(centroids(got.images_B3HW), got.points_BK2[:, 0].numpy(), atol=0.03)
    # Edges map to edges: the corner -0.5 of the first pixel stays -0.5.
    np.testing.assert_allclose(got.points_BK2[:, 0].numpy(), (points + 0.5) * size / 80 - 0.5, atol=1e-4)


def test_the_scale_follows():
    points = np.full((2, 1, 2), 20.0)
    images = np.zeros((2, 3, 80, 80), dtype=np.uint8)
    np.testing.assert_allclose(to_device(batch(images, points, scale=0.5), CPU, 64).scale_B.numpy(), 0.4)
    np.testing.assert_allclose(to_device(batch(images, points, scale=0.5), CPU, 80).scale_B.numpy(), 0.5)


def test_images_are_between_0_and_1_and_the_loaded_ones_untouched():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 80, 80), dtype=np.uint8)
    images[0, 0, 0, :2] = (0, 255)
    loaded = batch(images.copy(), np.full((2, 1, 2), 20.0))
    got = to_device(loaded, CPU, 80)
    assert got.images_B3HW.dtype == torch.float32
    np.testing.assert_allclose(got.images_B3HW.numpy(), images / 255.0, atol=1e-6)
    np.testing.assert_array_equal(loaded.images_B3SS.numpy(), images)
    assert float(got.images_B3HW.min()) == 0.0
    assert float(got.images_B3HW.max()) == 1.0


def test_down_sampling_is_anti_aliased():
    y, x = np.mgrid[:80, :80]
    board = np.broadcast_to((255 * ((x + y) % 2)).astype(np.uint8), (1, 3, 80, 80)).copy()
    got = to_device(batch(board, np.zeros((1, 1, 2))), CPU, 32).images_B3HW
    inner = got[..., 2:-2, 2:-2]
    assert float((inner - 0.5).abs().max()) < 0.05  # grey, not moiré


def test_masks():
    points = np.full((3, 4, 2), 10.0)
    points[0, 1] = np.nan
    points[1, 2, 1] = np.nan
    visible = np.ones((3, 4), dtype=bool)
    visible[0, 0] = visible[1, 2] = visible[2, 3] = False
    images = np.zeros((3, 3, 80, 80), dtype=np.uint8)
    loaded = batch(images, points, visible.tolist(), [True, True, False])
    known = to_device(loaded, CPU, 64).mask_BK.tolist()
    assert known == [[True, False, True, True], [True, True, False, True], [False] * 4]
    seen = to_device(loaded, CPU, 64, mask_occluded=True)
    assert seen.mask_BK.tolist() == [[False, False, True, True], [True, True, False, True], [False] * 4]
    assert seen.valid_B.tolist() == [True, True, False]
    assert seen.keys == ["k0", "k1", "k2"]
    assert torch.isnan(seen.points_BK2[0, 1]).all()


def test_unlabelled_batches_have_no_landmarks():
    got = to_device(batch(np.zeros((2, 3, 80, 80), np.uint8), np.zeros((2, 0, 2))), CPU, 64)
    assert got.points_BK2.shape == (2, 0, 2)
    assert got.mask_BK.shape == (2, 0)
    assert got.valid_B.all()


def faces(count: int = 6) -> Batch:
    """Blobs at the first of five landmarks."""
    random = np.random.default_rng(1)
    points = random.uniform(25, 55, (count, 5, 2))
    return batch(blobs(points[:, 0], 80), points, scale=0.5)


def test_augmented_landmarks_stay_on_what_they_mark():
    plain = to_device(faces(), CPU, 80)
    made = Custom(load_markup("mtfl5"), rotation=20.0, scale=0.1, translation=0.03)
    got = augmented(plain, made, step_generator(0, 3))
    assert (got.points_BK2 - plain.points_BK2).abs().max() > 2
    np.testing.assert_allclose(centroids(got.images_B3HW), got.points_BK2[:, 0].numpy(), atol=0.1)
    assert got.keys == plain.keys
    # The distance of two landmarks and the scale grow alike.
    apart = [(b.points_BK2[:, 0] - b.points_BK2[:, 1]).norm(dim=-1) for b in (plain, got)]
    torch.testing.assert_close(got.scale_B / plain.scale_B, apart[1] / apart[0], rtol=1e-4, atol=0)


def test_covered_landmarks_count_unless_occluded_ones_are_masked():
    plain = to_device(faces(), CPU, 80)
    made = Custom(load_markup("mtfl5"), occlusion=1.0, occlusion_size=(0.4, 0.6))
    seen = augmented(plain, made, step_generator(0, 1))
    masked = augmented(plain, made, step_generator(0, 1), mask_occluded=True)
    assert seen.mask_BK.all()
    assert not seen.visible_BK.all()
    assert torch.equal(masked.mask_BK, seen.visible_BK)


def test_ranks_change_the_samples_of_a_batch_as_one_would():
    whole = to_device(faces(), CPU, 80)
    made = Custom(load_markup("mtfl5"), rotation=20.0, flip=0.5, grey=0.5)
    together = augmented(whole, made, step_generator(5, 7))
    raw = faces()
    for rank in (0, 1):
        part = Batch(
            **{
                name: getattr(raw, name)[rank::2]
                for name in (
                    "images_B3SS",
                    "points_BK2",
                    "visible_BK",
                    "valid_B",
                    "keys",
                    "scale_B",
                    "five_B52",
                )
            }
        )
        got = augmented(to_device(part, CPU, 80), made, step_generator(5, 7), rank, 2)
        assert torch.equal(got.points_BK2, together.points_BK2[rank::2])
        assert torch.equal(got.images_B3HW, together.images_B3HW[rank::2])


def test_unlabelled_images_are_changed_too():
    raw = faces()
    nothing = replace(raw, points_BK2=raw.points_BK2[:, :0], visible_BK=raw.visible_BK[:, :0])
    plain = to_device(nothing, CPU, 80)
    got = augmented(plain, Custom(load_markup("mtfl5"), rotation=20.0), step_generator(0, 0, 1))
    assert got.points_BK2.shape == (6, 0, 2)
    assert not torch.equal(got.images_B3HW, plain.images_B3HW)


def test_what_augmentation_did_is_kept_and_the_detectors_points_with_it():
    raw = faces()
    plain = to_device(raw, CPU, 80)
    # Edges, not centres, are what scales.
    expected = (raw.five_B52 + 0.5) * 80 / raw.images_B3SS.shape[-1] - 0.5
    torch.testing.assert_close(plain.five_B52, expected)
    assert plain.change is None
    got = augmented(plain, Custom(load_markup("mtfl5"), rotation=20.0, flip=0.5), step_generator(5, 7))
    assert got.change.before is plain
    assert got.five_B52 is None
    followed = move(plain.points_BK2, got.change.affine_B23)
    order = torch.from_numpy(load_markup("mtfl5").flip_permutation)
    renamed = torch.where(got.change.flip_B[:, None, None], followed[:, order], followed)
    torch.testing.assert_close(renamed, got.points_BK2, rtol=1e-4, atol=1e-3)
