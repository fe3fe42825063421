"""Whatever holds an image gives the same pixels; what is none is refused with what to do."""

import io

import fsspec
import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DataError
from pipeline.inference.images import read_image


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (12, 20, 3), dtype=np.uint8)


def png(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def test_path_url_pillow_and_array_are_one_image(tmp_path, pixels):
    (tmp_path / "a.png").write_bytes(png(pixels))
    with fsspec.open("memory://photos/a.png", "wb") as file:
        file.write(png(pixels))
    for image in (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        f"file://{tmp_path}/a.png",
        "memory://photos/a.png",
        Image.fromarray(pixels),
        pixels,
    ):
        np.testing.assert_array_equal(read_image(image), pixels)
    grey = read_image(Image.fromarray(pixels[..., 0]))
    np.testing.assert_array_equal(grey, np.repeat(pixels[..., :1], 3, axis=-1))


def test_a_file_is_turned_upright(tmp_path, pixels):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter clockwise for viewing
    (tmp_path / "lying.png").write_bytes(png(pixels, exif=exif))
    np.testing.assert_array_equal(read_image(tmp_path / "lying.png"), np.rot90(pixels, -1))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 3), dtype=np.float32), "array of float32: expected uint8.*multiply by 255"),
        (np.zeros((8, 8, 3), dtype=np.int64), "array of int64: expected uint8, 0 … 255; cast"),
        (np.zeros((3, 8, 8), dtype=np.uint8), "shape .*channels last"),
        (np.zeros((8, 8), dtype=np.uint8), "convert it to RGB"),
        (np.zeros((8, 8, 4), dtype=np.uint8), "convert it to RGB"),
        (np.zeros((0, 8, 3), dtype=np.uint8), "expected"),
        (Image.new("F", (8, 8)), "mode 'F' has no agreed range"),
        (b"bytes", "is a bytes: give a path"),
        ("/no/such/file.png", "/no/such/file.png: cannot read: No such file.*correct the path"),
        ("nonsense://x.png", "nonsense://x.png: cannot read"),
        (__file__, "not an image"),
    ],
    ids=lambda value: str(getattr(value, "dtype", value))[:24],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(DataError, match=message):
        read_image(image)
