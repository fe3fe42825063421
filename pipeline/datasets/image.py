"""Encoded image → RGB pixels, with every odd kind of file either handled on purpose or refused by name.

Orientation: a camera may store an image lying down and say so in EXIF. Landmarks of the published sets refer
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

from pipeline.datasets.face import Annotation, FaceImage
from pipeline.errors import DataError

MAX_PIXELS = 64_000_000
"""Refuse larger images: a few kB can claim gigapixels (decompression bomb)."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
"""What a folder of images is searched for, lower case."""


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


def decode_image(content: bytes, name: str, *, upright: bool) -> np.ndarray:
    """Decode one image completely.

    Grey, 16-bit grey, palette and CMYK become RGB; transparency is laid over white; of an animation the first
    frame counts.

    Args:
        content: The encoded file.
        name: What errors call it.
        upright: Apply the EXIF orientation; see the module's docstring.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: Truncated, damaged, no image, or more than ``MAX_PIXELS``.
    """
    # Global in Pillow, and other libraries switch it on: half a face must never be decoded as grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{name}: {image.width}×{image.height} px, over {MAX_PIXELS / 1e6:.0f} Mpx")
            image.load()
            rgb = _to_rgb(ImageOps.exif_transpose(image) if upright else image, name)
            return np.asarray(rgb)
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not an image; remove the file or replace it") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: {error}") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        IndexError,
    ) as error:  # what Pillow's decoders raise on damaged files
        raise DataError(f"{name}: damaged image ({error}); remove the file or replace it") from error


@dataclass(frozen=True)
class StoredImage:
    """An image in a file, or in the middle of one (a member of a plain tar). A ``FaceRecord``.

    Attributes:
        source: Name of the data set.
        name: Image's name within it.
        path: Absolute path of the file that holds the bytes.
        annotation: None for an unlabelled image.
        upright: Apply the EXIF orientation.
        offset: First byte of the image in the file.
        length: Bytes of the image.
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

    def load(self) -> FaceImage:
        """Read and decode. Raises DataError naming the file."""
        content = self._read()
        label = self.path if self.offset == 0 else f"{self.path}: {self.name}"
        return FaceImage(decode_image(content, label, upright=self.upright), self.annotation, content)

    def fingerprint(self) -> str:
        """Changes with the annotation and the image's size in bytes; cheap: the image is not read."""
        digest = hashlib.sha256(f"{self.source}\0{self.name}\0{self.length}\0{self.upright}\0".encode())
        if self.annotation is not None:
            digest.update(np.ascontiguousarray(self.annotation.points_K2, dtype="<f8").tobytes())
            digest.update(np.ascontiguousarray(self.annotation.visible_K, dtype=bool).tobytes())
            digest.update(repr((self.annotation.box, sorted(self.annotation.attributes.items()))).encode())
        return digest.hexdigest()


def stored_file(
    path: Path, *, source: str, name: str, annotation: Annotation | None = None, upright: bool = False
) -> StoredImage:
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
    return StoredImage(source, name, str(path), annotation, upright, 0, length)


def listed_file(
    path: Path,
    *,
    where: str,
    remedy: str,
    source: str,
    name: str,
    annotation: Annotation,
    upright: bool = False,
) -> StoredImage:
    """The record of a whole file that an annotation names.

    Args:
        path: The file.
        where: File and line (or entry) of the annotation.
        remedy: For a missing image.
        source: Name of the data set.
        name: Image's name within it.
        annotation: What is known of the face.
        upright: Apply the EXIF orientation.

    Raises:
        DataError: The file is missing or empty; the message starts with ``where`` and ends with ``remedy``.
    """
    try:
        return stored_file(path, source=source, name=name, annotation=annotation, upright=upright)
    except DataError as error:
        raise DataError(f"{where}: {error}; {remedy}") from error


def require_unique_names(records: list[StoredImage]) -> list[StoredImage]:
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
