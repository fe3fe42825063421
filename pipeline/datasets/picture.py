"""Encoded picture → RGB pixels, with every odd kind of file either handled on purpose or refused by name.

Orientation: a camera may store a picture lying down and say so in EXIF. Landmarks of the published sets refer
to the stored pixels, so labelled sets are read as stored (``upright=False``); unlabelled photographs are
turned upright (``upright=True``), since a detector finds no lying faces.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from pipeline.datasets.face import Annotation, Picture
from pipeline.errors import DataError

MAX_PIXELS = 64_000_000
"""Refuse larger pictures: a few kB can claim gigapixels (decompression bomb)."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""What a folder of pictures is searched for, lower case."""


def _to_rgb(picture: Image.Image, name: str) -> Image.Image:
    if picture.mode.startswith("I"):  # 16-bit grey ("I;16*"), which Pillow ≤ 10 and TIFF call "I"
        grey = np.asarray(picture).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise DataError(f"{name}: grey values outside 16 bits; convert the picture to 8-bit RGB")
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode == "F":
        raise DataError(
            f"{name}: floating-point pixels have no agreed range; convert the picture to 8-bit RGB"
        )
    if picture.has_transparency_data:
        # Dropping alpha would reveal whatever colour lies beneath transparent pixels.
        opaque = Image.new("RGBA", picture.size, "white")
        opaque.alpha_composite(picture.convert("RGBA"))
        return opaque.convert("RGB")
    return picture.convert("RGB")


def decode_picture(content: bytes, name: str, *, upright: bool) -> np.ndarray:
    """Decode one picture completely.

    Grey, 16-bit grey, palette and CMYK become RGB; transparency is laid over white; of an animation the first
    frame counts.

    Args:
        content: The encoded file.
        name: What errors call it.
        upright: Apply the EXIF orientation; see the module's docstring.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: Truncated, damaged, no picture, or more than ``MAX_PIXELS``.
    """
    # Global in Pillow, and other libraries switch it on: half a face must never be decoded as grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(
                    f"{name}: {picture.width}×{picture.height} px, over {MAX_PIXELS / 1e6:.0f} Mpx"
                )
            picture.load()
            rgb = _to_rgb(ImageOps.exif_transpose(picture) if upright else picture, name)
            return np.asarray(rgb)
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not a picture; remove the file or replace it") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: {error}") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        IndexError,
    ) as error:  # what Pillow's decoders raise on damaged files
        raise DataError(f"{name}: damaged picture ({error}); remove the file or replace it") from error


@dataclass(frozen=True)
class StoredPicture:
    """A picture in a file, or in the middle of one (a member of a plain tar). A ``FaceRecord``.

    Attributes:
        source: Name of the data set.
        name: Picture's name within it.
        path: Absolute path of the file that holds the bytes.
        annotation: None for an unlabelled picture.
        upright: Apply the EXIF orientation.
        offset: First byte of the picture in the file.
        length: Bytes of the picture.
    """

    source: str
    name: str
    path: str
    annotation: Annotation | None
    upright: bool
    offset: int
    length: int

    def _read(self) -> bytes:
        try:
            with Path(self.path).open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.length)
        except OSError as error:
            raise DataError(f"{self.path}: cannot read {self.name}: {error.strerror}") from error
        if len(content) != self.length:
            raise DataError(
                f"{self.path}: {self.name} has {len(content)} bytes, had {self.length} when it was listed"
            )
        return content

    def load(self) -> Picture:
        """Read and decode. Raises DataError naming the file."""
        content = self._read()
        label = self.path if self.offset == 0 else f"{self.path}: {self.name}"
        return Picture(decode_picture(content, label, upright=self.upright), self.annotation, content)

    def fingerprint(self) -> str:
        """Changes with the annotation and the picture's size in bytes; cheap: the picture is not read."""
        digest = hashlib.sha256(f"{self.source}\0{self.name}\0{self.length}\0{self.upright}\0".encode())
        if self.annotation is not None:
            digest.update(np.ascontiguousarray(self.annotation.points_K2, dtype="<f8").tobytes())
            digest.update(np.ascontiguousarray(self.annotation.visible_K, dtype=bool).tobytes())
            digest.update(repr((self.annotation.box, sorted(self.annotation.attributes.items()))).encode())
        return digest.hexdigest()


def stored_file(
    path: Path, *, source: str, name: str, annotation: Annotation | None = None, upright: bool = False
) -> StoredPicture:
    """The record of a whole file.

    Raises:
        DataError: The file is missing or empty.
    """
    try:
        length = os.stat(path).st_size  # noqa: PTH116 -- several times faster than Path.stat over a million files
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    if length == 0:
        raise DataError(f"{path}: the file is empty; remove it or replace it")
    return StoredPicture(source, name, str(path), annotation, upright, 0, length)


def require_unique_names(records: list[StoredPicture]) -> list[StoredPicture]:
    """Records sorted by name.

    Raises:
        DataError: Two records share a name; nothing downstream could tell them apart.
    """
    ordered = sorted(records, key=lambda record: record.name)
    for previous, record in itertools.pairwise(ordered):
        if previous.name == record.name:
            raise DataError(
                f"{record.path}: the name '{record.name}' is taken by {previous.path}; rename or remove one"
            )
    return ordered
