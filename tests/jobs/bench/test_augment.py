"""``landmarks bench augment``: both sides do the same work, and small figures come out."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.bench.augment import BATCHES, SETS, bench, measure, recipe_of, samples, stacked
from jobs.bench.plain_augment import PlainAugmentation, Recipe, collate, turn_hue
from pipeline.augment.adnet import ADNet
from pipeline.augment.colour import Colour, recolour
from pipeline.augment.geometry import affines, move, warp
from pipeline.errors import ConfigError
from pipeline.markup import load_markup
from pipeline.registry import build

IBUG = load_markup("ibug68")


class Fixed:
    """Random numbers whose ``uniform`` is a given share of its range."""

    def __init__(self, share: float) -> None:
        self.share = share

    def uniform(self, low: float, high: float, size: int | None = None):
        value = low + (high - low) * self.share
        return value if size is None else np.full(size, value)

    def random(self) -> float:
        return self.share

    def integers(self, low: int, high: int, size: int) -> np.ndarray:
        return np.full(size, int(low + (high - low) * self.share))


def smooth_face(size: int = 64):
    """An image without sharp edges, which eight bits and interpolation blur alike, and its landmarks."""
    grid = np.linspace(0, 3, size)
    channels = [
        np.sin(grid[:, None] * a + grid[None] * b) * 100 + 128 for a, b in ((1, 2), (2, 1), (1.5, -1))
    ]
    face = samples(1, size, 68, 0)[0]
    return np.stack(channels, -1).astype(np.uint8), *face[1:]


@pytest.mark.parametrize(("share", "flip"), [(0.9, 0.0), (0.2, 1.0), (0.6, 1.0)])
def test_the_plain_side_moves_images_and_landmarks_as_ours(share, flip):
    face = smooth_face()
    plain = PlainAugmentation(
        Recipe(rotation=18, scale=0.1, translation=0.05, flip=flip), IBUG.flip_permutation, 0
    )
    plain.random = Fixed(share)
    image, points, mask, visible = plain(face)
    part = 2 * share - 1
    affine = affines(
        64,
        torch.tensor([18 * part], dtype=torch.float64),
        torch.tensor([1 + 0.1 * part], dtype=torch.float64),
        torch.full((1, 2), 0.05 * part, dtype=torch.float64),
        torch.tensor([bool(flip)]),
    )
    expected = (
        warp(torch.from_numpy(face[0]).permute(2, 0, 1)[None].double(), affine)[0].permute(1, 2, 0).numpy()
    )
    shown = image.any(-1)
    assert shown.mean() > 0.6
    # Off the black outside, and its edge, all but rounding to eight bits agrees.
    inner = np.abs(image[8:-8, 8:-8].astype(float) - expected[8:-8, 8:-8])[shown[8:-8, 8:-8]]
    assert np.quantile(inner, 0.99) < 1.5
    moved = move(torch.from_numpy(face[1])[None], affine)[0].numpy()
    np.testing.assert_allclose(points, moved[IBUG.flip_permutation] if flip else moved, atol=1e-9)
    inside = ((points >= -0.5) & (points <= 63.5)).all(1)
    assert np.array_equal(mask, inside)
    assert np.array_equal(visible, inside)


def test_the_plain_side_colours_blurs_and_covers():
    face = smooth_face()
    plain = PlainAugmentation(
        Recipe(grey=1.0, occlusion=1.0, occlusion_size=(0.25, 0.25)), IBUG.flip_permutation, 0
    )
    plain.random = Fixed(0.5)
    image, points, mask, visible = plain(face)
    covered = (image == 128).all(-1)
    assert covered[24:40, 24:40].all()
    assert (image[..., 0] == image[..., 2]).all()
    under = ((points >= 23.5) & (points < 39.5)).all(1)
    assert np.array_equal(visible, ~under)
    assert mask.all()
    sharp = samples(1, 64, 68, 0)[0]
    plain = PlainAugmentation(
        Recipe(channels=0.2, blur=1.0, blur_sigma=(0.05, 0.05)), IBUG.flip_permutation, 0
    )
    blurred = plain(sharp)[0]
    assert blurred.std() < 0.3 * sharp[0].std()
    assert isinstance(Image.fromarray(blurred), Image.Image)


@pytest.mark.parametrize(
    ("recipe", "ours"),
    [
        (Recipe(brightness=0.3), {"brightness": 0.3}),
        (Recipe(contrast=0.3), {"contrast": 0.3}),
        (Recipe(saturation=0.3), {"saturation": 0.3}),
    ],
)
@pytest.mark.parametrize("share", [0.1, 0.7])
def test_the_plain_side_changes_colours_as_ours(recipe, ours, share):
    face = smooth_face()
    plain = PlainAugmentation(recipe, IBUG.flip_permutation, 0)
    plain.random = Fixed(share)
    uniform = torch.full((1, Colour.columns), share, dtype=torch.float64)
    matrices = Colour(**ours).draw(uniform).matrices()
    image = torch.from_numpy(face[0]).permute(2, 0, 1)[None].double() / 255
    expected = (recolour(image, *matrices)[0] * 255).permute(1, 2, 0).numpy()
    assert np.abs(plain(face)[0] - expected).max() < 2.5
    assert np.abs(expected - face[0]).max() > 5


def test_a_third_of_a_turn_of_hue_takes_red_to_green():
    red = Image.new("RGB", (2, 2), (200, 0, 0))
    turned = np.asarray(turn_hue(red, 120))
    assert np.abs(turned - (0, 200, 0)).max() <= 4
    assert np.abs(np.asarray(turn_hue(red, 0)) - (200, 0, 0)).max() <= 1
    plain = PlainAugmentation(Recipe(hue=120), IBUG.flip_permutation, 0)
    plain.random = Fixed(1.0)
    image = np.full((16, 16, 3), (200, 0, 0), dtype=np.uint8)
    assert np.array_equal(plain((image, *smooth_face(16)[1:]))[0][0, 0], turned[0, 0])


def test_both_sides_have_the_same_ranges_and_give_the_same_shapes():
    recipe = recipe_of(ADNet(IBUG))
    common = {"blur": 0.3, "blur_sigma": (0.002, 0.01), "occlusion": 0.4, "occlusion_size": (0.1, 0.4)}
    assert recipe == Recipe(18, 0.1, 0.05, 0.5, grey=0.2, **common)
    every = recipe_of(build("augmentation", SETS["every"], markup=IBUG))
    colours = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 18}
    assert every == Recipe(18, 0.1, 0.05, 0.5, grey=0.2, **colours, **common)
    faces = samples(3, 32, 68, 0)
    ours, plain = stacked(faces), collate(faces)
    assert (ours.images_B3SS / 255).equal(plain[0])
    for mine, other in zip((ours.points_BK2, ours.mask_BK, ours.visible_BK), plain[1:], strict=True):
        assert mine.equal(other)
        assert mine.dtype == other.dtype


def test_measures_both_sides_with_threads_too():
    before = torch.get_num_threads()
    try:
        (row,) = measure("uglli", 16, 2, 1, 2, 0)
    finally:
        torch.set_num_threads(before)
    assert set(row) == {"ours_seconds", "ours_cpu_seconds", "plain_seconds", "plain_cpu_seconds"}
    assert all(value > 0 for value in row.values())


def test_writes_a_row_per_round_and_size(tmp_path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "augment.csv"
    bench("adnet", sizes=[16, 24], batch=2, rounds=2, out=str(out))
    rows = list(csv.DictReader(out.open()))
    assert [(row["size"], row["round"]) for row in rows] == [
        ("16", "0"),
        ("16", "1"),
        ("24", "0"),
        ("24", "1"),
    ]
    for row in rows:
        ours, plain = (float(row[f"{side}_images_per_second"]) for side in ("ours", "plain"))
        assert float(row["ratio"]) == pytest.approx(ours / plain, rel=0.02)
        assert (row["name"], row["batch"], row["threads"], row["batches"]) == (
            "adnet",
            "2",
            "1",
            str(BATCHES),
        )
        assert row["cpu"]
        assert row["pillow"]
    assert "images/cpu second" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"name": "custom"}, "no set 'custom'"), ({"sizes": [0]}, "size is 0"), ({"rounds": 0}, "rounds")],
)
def test_what_cannot_be_measured_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        bench(**{"sizes": [16], **arguments})
