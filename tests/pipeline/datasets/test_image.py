"""Odd and damaged images."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from PIL import Image, ImageFile

from pipeline.datasets import image as module
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import StoredImage, decode_image, require_unique_names, stored_file
from pipeline.errors import DataError


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def test_rgb_is_untouched(noise):
    decoded = decode_image(encode(Image.fromarray(noise)), "a.png", upright=False)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, noise)


def test_grey_becomes_three_equal_channels(noise):
    decoded = decode_image(encode(Image.fromarray(noise[..., 0])), "a.png", upright=False)
    np.testing.assert_array_equal(decoded, np.repeat(noise[..., :1], 3, axis=2))


def test_sixteen_bit_grey_keeps_its_high_byte():
    deep = np.array([[0, 255, 256], [32768, 65280, 65535]], dtype=np.uint16)
    decoded = decode_image(encode(Image.fromarray(deep)), "a.png", upright=False)
    np.testing.assert_array_equal(decoded[..., 1], [[0, 0, 1], [128, 255, 255]])


def test_transparency_is_laid_over_white():
    rgba = np.zeros((2, 2, 4), dtype=np.uint8)
    rgba[0, 0] = (10, 20, 30, 255)
    rgba[1, 1] = (200, 0, 0, 0)  # a colour nobody sees
    decoded = decode_image(encode(Image.fromarray(rgba)), "a.png", upright=False)
    assert decoded[0, 0].tolist() == [10, 20, 30]
    assert decoded[1, 1].tolist() == [255, 255, 255]


def test_cmyk_becomes_rgb():
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    decoded = decode_image(encode(cmyk, "JPEG", quality=100), "a.jpg", upright=False)
    assert decoded.shape == (8, 8, 3)
    assert decoded[4, 4, 0] > 200
    assert decoded[4, 4, 1] < 60


def test_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    content = encode(frames[0], "PNG", save_all=True, append_images=frames[1:])
    decoded = decode_image(content, "a.png", upright=False)
    assert decoded[0, 0].tolist() == [255, 0, 0]


def test_orientation_is_applied_only_if_asked_for(noise):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise to view
    content = encode(Image.fromarray(noise), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_image(content, "a.png", upright=False), noise)
    np.testing.assert_array_equal(decode_image(content, "a.png", upright=True), np.rot90(noise, -1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_image_is_refused_even_if_pillow_was_told_otherwise(noise, kind, monkeypatch):
    content = encode(Image.fromarray(np.tile(noise, (4, 4, 1))), kind)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match=r"a\.jpg: damaged image .*replace it"):
        decode_image(content[: len(content) // 2], "a.jpg", upright=False)


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xe0"])
def test_no_image(content):
    with pytest.raises(DataError, match=r"^a\.jpg: "):
        decode_image(content, "a.jpg", upright=False)


def test_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(module, "MAX_PIXELS", 99)
    with pytest.raises(DataError, match="10×10 px, over"):
        decode_image(encode(Image.new("RGB", (10, 10))), "a.png", upright=False)


def test_record_travels_and_loads(tmp_path, noise):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(noise)))
    annotation = Annotation(np.zeros((2, 2)), np.ones(2, dtype=bool))
    record = pickle.loads(pickle.dumps(stored_file(path, source="s", name="a.png", annotation=annotation)))
    assert isinstance(record, FaceRecord)
    image = record.load()
    np.testing.assert_array_equal(image.image_HW3, noise)
    assert image.content == path.read_bytes()
    assert image.annotation is not None


def test_fingerprint_follows_annotation_and_size(tmp_path):
    def record(points, length=3):
        return StoredImage(
            "s", "n", "p", Annotation(np.array(points), np.ones(1, dtype=bool)), False, 0, length
        )

    base = record([[1.0, 2.0]]).fingerprint()
    assert base == record([[1.0, 2.0]]).fingerprint()
    assert len({base, record([[1.0, 2.5]]).fingerprint(), record([[1.0, 2.0]], 4).fingerprint()}) == 3


def test_file_that_shrank_since_it_was_listed(tmp_path, noise):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(noise)))
    record = stored_file(path, source="s", name="a.png")
    path.write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.png has 1 bytes, had \d+ when it was listed"):
        record.load()


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        stored_file(tmp_path / "a.png", source="s", name="a")
    (tmp_path / "b.png").touch()
    with pytest.raises(DataError, match=r"b\.png: the file is empty"):
        stored_file(tmp_path / "b.png", source="s", name="b")


def test_repeated_name():
    records = [StoredImage("s", "n", path, None, False, 0, 1) for path in ("/a/n", "/b/n")]
    with pytest.raises(DataError, match=r"/b/n: the name 'n' is taken by /a/n"):
        require_unique_names(records)
