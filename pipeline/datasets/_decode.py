"""Encoded bytes → RGB pixels, with every odd kind of file either handled on purpose or refused by name.

Whatever a decoder raises is the file's fault and becomes a ``DataError``: Pillow's parsers raise dozens of types on damaged
bytes, struct.error and ZeroDivisionError among them. Of EXIF one tag is read, the orientation, and it moves pixels alone: to
rewrite the other tags, as ``ImageOps.exif_transpose`` does, fails wherever one of them is malformed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from pipeline.datasets.face import UnusableError
from pipeline.errors import DataError

MAX_PIXELS = 64_000_000
"""Refuse larger images unless ``pixel_limit`` says otherwise: a few kB can claim gigapixels (decompression bomb)."""

_LIMIT: ContextVar[int] = ContextVar("pixel limit", default=MAX_PIXELS)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation → what turns the stored pixels upright; from 5 on the sides swap."""

_SHORT = 3
"""TIFF's type of a 16-bit number."""


@dataclass(frozen=True)
class DeclaredSize:
    """The size that an annotation says its image has.

    Attributes:
        width: px.
        height: px.
        relative: Positions were given as shares of this size, so they hold for a copy of any scale.
    """

    width: int
    height: int
    relative: bool = False

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether an image of this (width, height) is the annotated one."""
        width, height = size
        if size == (self.width, self.height):
            return True
        # A scaled copy keeps its shape up to a pixel's rounding of either side.
        return self.relative and abs(width * self.height - height * self.width) <= self.width + self.height


@contextmanager
def pixel_limit(pixels: int) -> Iterator[None]:
    """Decode images of up to so many pixels within this block."""
    token = _LIMIT.set(pixels)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def decode_image(
    content: bytes, name: str, *, upright: bool, declared: DeclaredSize | None = None
) -> np.ndarray:
    """Decode one image completely.

    Grey, 16-bit grey, palette and CMYK become RGB; transparency is laid over white; of an animation the first
    frame counts.

    Args:
        content: The encoded file.
        name: What errors call it.
        upright: Apply the EXIF orientation. Where the declared size fits the stored or the upright image alone, that decides.
        declared: What the annotation says of its size.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: Truncated, damaged, no image, more pixels than allowed, or not of the declared size.
    """
    # Global in Pillow, and other libraries switch it on: half a face must never be decoded as grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(content)) as image:
            _require_size(image.size, name)
            image.load()
            turn = _turn(image, name, upright=upright, declared=declared)
            return np.asarray(_to_rgb(image if turn is None else image.transpose(turn), name))
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not an image; remove the file or replace it") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: {error}") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{name}: damaged image ({reason}); remove the file or replace it") from error


def _require_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > _LIMIT.get():
        raise DataError(
            f"{name}: {width}×{height} px, over {_LIMIT.get() / 1e6:g} Mpx; raise 'max_image_mpx' to allow it"
        )


def _turn(
    image: Image.Image, name: str, *, upright: bool, declared: DeclaredSize | None
) -> Image.Transpose | None:
    """What to do with the decoded pixels."""
    orientation = _orientation(image)
    turn = _TURNS.get(orientation)
    if declared is not None:
        turned = image.size[::-1] if orientation >= 5 else image.size
        as_stored, as_upright = declared.fits(image.size), declared.fits(turned)
        if not (as_stored or as_upright):
            found = " or ".join(f"{width}×{height}" for width, height in dict.fromkeys((image.size, turned)))
            raise UnusableError(
                f"{name}: {found} px, but its landmarks were annotated at {declared.width}×{declared.height} px; restore "
                "the annotated image, or correct the annotation",
                "wrong_size",
            )
        if as_stored != as_upright:
            upright = as_upright
    return turn if upright else None


def _orientation(image: Image.Image) -> int:
    """The orientation that EXIF (or XMP) gives, 1, upright as it is, where there is none or it cannot be read."""
    found = _exif_orientation(image.info.get("exif"))
    if found is None:
        try:
            found = image.getexif().get(ExifTags.Base.Orientation)
        except Exception:
            return 1  # broken metadata; the pixels are whole
    return found if isinstance(found, int) and found in _TURNS else 1


def _exif_orientation(exif: object) -> int | None:
    """The orientation in a block of EXIF, whatever its other entries are: Pillow stops reading at the first malformed one.

    A block is a TIFF file: byte order, the offset of a directory, and there entries of 12 bytes: tag, type, count, value.
    """
    body = exif.removeprefix(b"Exif\0\0") if isinstance(exif, bytes) else b""
    order = {b"II": "<", b"MM": ">"}.get(body[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", body, 4)
        (entries,) = struct.unpack_from(f"{order}H", body, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", body, place)
            if tag == ExifTags.Base.Orientation and kind == _SHORT and count == 1:
                return int(struct.unpack_from(f"{order}H", body, place + 8)[0])
    except struct.error:
        return None
    return None


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey ("I;16*"), which Pillow ≤ 10 and TIFF call "I"
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise DataError(f"{name}: grey values outside 16 bits; convert the image to 8-bit RGB")
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise DataError(f"{name}: floating-point pixels have no agreed range; convert the image to 8-bit RGB")
    if image.has_transparency_data:
        # Dropping alpha would reveal whatever colour lies beneath transparent pixels.
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return image.convert("RGB")
