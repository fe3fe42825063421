from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipeline.errors import DataError
from pipeline.faces.near_duplicates import NearDuplicateIndex, thumbnails


def texture(seed: int, size: int = 96) -> np.ndarray:
    """A random smooth pattern with detail down to a few pixels, as a face crop has."""
    rng = np.random.default_rng(seed)
    image = np.zeros((size, size, 3))
    for cells, weight in ((4, 1.0), (12, 0.8), (24, 0.5)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        image += weight * np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)
    return (image / 2.3).round().astype(np.uint8)


def jpeg(image: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=40)
    return np.asarray(Image.open(buffer).convert("RGB"))


def brighten(image: np.ndarray) -> np.ndarray:
    return np.asarray(
        ImageEnhance.Contrast(ImageEnhance.Brightness(Image.fromarray(image)).enhance(1.2)).enhance(0.7)
    )


def resize(image: np.ndarray, box: tuple[float, float, float, float], size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC, box=box))


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "itself": lambda image: image,
    "re-encoded": jpeg,
    "half size": lambda image: resize(image, (0, 0, 96, 96), 48),
    "larger": lambda image: resize(image, (0, 0, 96, 96), 150),
    "cut off centre by 3 %": lambda image: resize(image, (4, 0, 94, 90), 96),
    "cut at the other corner": lambda image: resize(image, (2, 5, 93, 96), 96),
    "brighter, less contrast": brighten,
    "all of them": lambda image: jpeg(brighten(resize(image, (4, 0, 94, 90), 80))),
}


@pytest.fixture(scope="module")
def index() -> NearDuplicateIndex:
    return NearDuplicateIndex(thumbnails([texture(i) for i in range(30)]), [f"test/{i}" for i in range(30)])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_with_their_reference(index, kind, mirrored):
    crops = [COPIES[kind](texture(i)) for i in range(30)]
    if mirrored:
        crops = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops]
    for i, match in enumerate(index.query(thumbnails(crops))):
        assert match is not None
        assert (match.reference, match.mirrored) == (f"test/{i}", mirrored)
        assert index.threshold <= match.similarity <= 1 + 1e-5


def test_other_images_match_nothing(index):
    assert index.query(thumbnails([texture(i) for i in range(1000, 1200)])) == [None] * 200


def test_flat_images_match_nothing_not_even_each_other():
    flat = [np.full((64, 64, 3), 128, dtype=np.uint8), np.zeros((64, 64, 3), dtype=np.uint8)]
    noisy = flat[0] + np.random.default_rng(0).integers(0, 2, (64, 64, 3), dtype=np.uint8)
    described = thumbnails([*flat, noisy])
    assert not described.any()
    assert NearDuplicateIndex(described, ["a", "b", "c"]).query(described) == [None] * 3


def test_thumbnails_have_zero_mean_and_unit_norm_and_ignore_brightness_and_contrast():
    image = texture(3) // 3 + 30  # doubled, it still fits into uint8
    described = thumbnails([image, image * 2 - 40])
    np.testing.assert_allclose(described.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(described, axis=1), 1, atol=1e-5)
    assert described[0] @ described[1] > 0.999


def test_the_answer_does_not_depend_on_the_other_candidates_or_the_order(index):
    described = thumbnails([jpeg(texture(i)) for i in (3, 500, 7, 501)])
    together = index.query(described)
    assert [m and m.reference for m in together] == ["test/3", None, "test/7", None]
    for row, match in zip(described, together, strict=True):
        (alone,) = index.query(row[None])
        assert (alone is None) == (match is None)
        if alone is not None and match is not None:
            assert (alone.reference, alone.mirrored) == (match.reference, match.mirrored)
            assert alone.similarity == pytest.approx(match.similarity, abs=1e-6)
    assert index.query(described) == together
    assert index.query(described[::-1]) == together[::-1]


def test_no_candidates_and_no_references_are_fine(index):
    assert index.query(thumbnails([])) == []
    nothing = NearDuplicateIndex(thumbnails([]), [])
    assert nothing.query(thumbnails([texture(0)])) == [None]


def test_wrong_input_is_named(index):
    with pytest.raises(DataError, match="crop 1 is float64"):
        thumbnails([texture(0), texture(0) / 255.0])
    with pytest.raises(DataError, match="names"):
        NearDuplicateIndex(thumbnails([texture(0)]), ["a", "b"])
    with pytest.raises(DataError, match="thumbnails"):
        NearDuplicateIndex(np.zeros((3, 7), dtype=np.float32), ["a", "b", "c"])


@pytest.mark.real_data
def test_copies_of_real_faces_are_found_and_strangers_are_not(real_data):
    references = sorted((real_data / "300w" / "lfpw" / "testset").glob("*.[jp][pn]g"))[:60]
    strangers = sorted((real_data / "unlabelled" / "lfw").rglob("*.jpg"))[:300]

    def crops(paths):
        # The images themselves are face crops; square, as stored ones.
        return [np.asarray(Image.open(path).convert("RGB").resize((96, 96))) for path in paths]

    originals = crops(references)
    index = NearDuplicateIndex(thumbnails(originals), [path.name for path in references])
    for kind, alter in COPIES.items():
        matches = index.query(thumbnails([alter(image) for image in originals]))
        found = [m is not None and m.reference == p.name for m, p in zip(matches, references, strict=True)]
        assert np.mean(found) >= 0.95, kind
    assert sum(match is not None for match in index.query(thumbnails(crops(strangers)))) == 0
