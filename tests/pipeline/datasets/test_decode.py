"""Odd and damaged images."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageFile

from pipeline.datasets._decode import DeclaredSize, decode_image, pixel_limit
from pipeline.datasets.face import UnusableError
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


def test_decompression_bomb_is_refused_before_it_is_decoded():
    content = encode(Image.new("RGB", (10, 10)))
    with pixel_limit(99), pytest.raises(DataError, match=r"10×10 px, over .* Mpx; raise 'max_image_mpx'"):
        decode_image(content, "a.png", upright=False)
    with pixel_limit(100):
        assert decode_image(content, "a.png", upright=False).shape == (10, 10, 3)


def _exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _odd_exif(tag, kind, value):
    """Orientation 6 beside one tag of whatever type, as bytes: Pillow itself would refuse to write it."""
    entries = sorted(
        [(0x0112, 3, 1, struct.pack("<HH", 6, 0)), (tag, kind, len(value), value.ljust(4, b"\0")[:4])]
    )
    body = b"".join(struct.pack("<HHI", t, k, n) + v for t, k, n, v in entries)
    return b"Exif\0\0" + b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + body + b"\0\0\0\0"


@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_orientation_turns_pixels_as_pillow_does(noise, orientation):
    from PIL import ImageOps

    content = encode(Image.fromarray(noise), exif=_exif(orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(decode_image(content, "a.png", upright=True), expected)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the damage
@pytest.mark.parametrize("kind", range(14))
def test_no_other_tag_matters_to_the_orientation(noise, kind):
    # ImageWidth, Make, XResolution, Copyright, the offsets of two further directories, MakerNote.
    for tag in (0x0100, 0x010F, 0x011A, 0x8298, 0x8769, 0x8825, 0x927C):
        content = encode(Image.fromarray(noise), "JPEG", exif=_odd_exif(tag, kind, b"160\0"))
        assert decode_image(content, "a.jpg", upright=True).shape == (30, 40, 3)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the damage
def test_bytes_of_exif_that_are_no_exif(noise):
    clean = encode(Image.fromarray(noise), "JPEG", exif=_exif(6))
    start, rng = clean.index(b"Exif") + 6, np.random.default_rng(0)
    end = start + 26  # the directory; what follows is the picture's own
    for _ in range(200):
        damaged = bytearray(clean)
        for place in rng.integers(start, end, 3):
            damaged[place] = rng.integers(256)
        assert decode_image(bytes(damaged), "a.jpg", upright=True).shape in {(40, 30, 3), (30, 40, 3)}


def test_what_a_decoder_raises_is_one_error(monkeypatch):
    for raised in (
        ZeroDivisionError(),
        TypeError("odd"),
        MemoryError(),
        AttributeError("x"),
        RecursionError(),
    ):

        def broken(*_, raised=raised):
            raise raised

        monkeypatch.setattr(Image, "open", broken)
        with pytest.raises(DataError, match=r"a\.jpg: damaged image \(.+\); remove"):
            decode_image(b"x", "a.jpg", upright=False)


def test_the_declared_size_decides_the_orientation(noise):
    turned = encode(Image.fromarray(noise), exif=_exif(6))  # stored 30 wide and 40 high
    for upright in (False, True):
        stored = decode_image(turned, "a.png", upright=upright, declared=DeclaredSize(30, 40))
        assert stored.shape == (40, 30, 3)
        assert decode_image(turned, "a.png", upright=upright, declared=DeclaredSize(40, 30)).shape == (
            30,
            40,
            3,
        )
    half_turned = encode(Image.fromarray(noise), exif=_exif(3))  # the size tells nothing
    for upright in (False, True):
        decoded = decode_image(half_turned, "a.png", upright=upright, declared=DeclaredSize(30, 40))
        np.testing.assert_array_equal(decoded, noise[::-1, ::-1] if upright else noise)


def test_another_size_is_refused_with_both(noise):
    with pytest.raises(UnusableError, match=r"a\.png: 30×40 px, but .* annotated at 60×80 px") as caught:
        decode_image(encode(Image.fromarray(noise)), "a.png", upright=True, declared=DeclaredSize(60, 80))
    assert caught.value.reason == "wrong_size"
    with pytest.raises(UnusableError, match="30×40 or 40×30 px, but"):
        decode_image(
            encode(Image.fromarray(noise), exif=_exif(6)),
            "a.png",
            upright=True,
            declared=DeclaredSize(31, 40),
        )


@pytest.mark.parametrize(
    ("size", "fits"),
    [((60, 80), True), ((30, 40), True), ((31, 40), True), ((40, 30), False), ((50, 80), False)],
)
def test_shares_of_a_size_hold_at_any_scale(size, fits):
    assert DeclaredSize(60, 80, relative=True).fits(size) == fits
    assert DeclaredSize(60, 80).fits(size) == (size == (60, 80))
