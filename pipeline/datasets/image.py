"""Images in files and tars: what a record knows of one, and how it is read.

Orientation: a camera may store an image lying down and say so in EXIF. Landmarks of the published sets refer
to the stored pixels, so labelled sets are read as stored (``upright=False``); unlabelled photographs are
turned upright (``upright=True``), since a detector finds no lying faces. Where the annotation declares its image's size,
that size decides. See ``pipeline.datasets._decode``.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.datasets._decode import DeclaredSize, decode_image
from pipeline.datasets.face import Annotation, FaceImage, FaceRecord, Unusable, UnusableError
from pipeline.errors import DataError
from pipeline.object_store import read_object
from pipeline.storage import is_local

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
)
"""What a folder of images is searched for, lower case."""


@dataclass(frozen=True)
class StoredImage:
    """An image in a file, or in the middle of one (a member of a plain tar). A ``FaceRecord``.

    Attributes:
        source: Name of the data set.
        name: Image's name within it.
        path: Absolute path, or URL, of the file that holds the bytes.
        annotation: None for an unlabelled image.
        upright: Apply the EXIF orientation.
        offset: First byte of the image in the file.
        length: Bytes of the image.
        declared: The size that the annotation says the image has, or None.
        content: The bytes, where they were fetched ahead.
    """

    source: str
    name: str
    path: str
    annotation: Annotation | None
    upright: bool
    offset: int
    length: int
    declared: DeclaredSize | None = None
    content: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def is_remote(self) -> bool:
        """Whether its bytes come from an object store."""
        return not is_local(self.path)

    def fetched(self) -> StoredImage:
        """The same record with its bytes.

        Raises:
            DataError: They cannot be read.
            StorageError: The store does not give them.
        """
        return replace(self, content=self._read())

    def _read(self) -> bytes:
        if self.content is not None:
            return self.content
        try:
            if not self.is_remote:
                regular_size(Path(self.path))  # opening a pipe would wait for ever
                with Path(self.path).open("rb") as file:
                    file.seek(self.offset)
                    content = file.read(self.length)
            else:
                content = read_object(self.path, self.offset, self.offset + self.length)
        except OSError as error:
            raise DataError(f"{self.path}: cannot read {self.name}: {error.strerror or error}") from error
        if len(content) != self.length:
            raise DataError(
                f"{self.path}: {self.name} has {len(content)} bytes, had {self.length} when it was listed"
            )
        return content

    def load(self) -> FaceImage:
        """Read and decode. Raises DataError naming the file."""
        content = self._read()
        label = self.path if self.offset == 0 else f"{self.path}: {self.name}"
        image_HW3 = decode_image(content, label, upright=self.upright, declared=self.declared)
        annotation = self.annotation
        if annotation is not None and self.declared is not None:
            height, width = image_HW3.shape[:2]
            annotation = _scaled(annotation, width / self.declared.width, height / self.declared.height)
        return FaceImage(image_HW3, annotation, content)

    def fingerprint(self) -> str:
        """Changes with the annotation and the image's size in bytes; cheap: the image is not read."""
        digest = hashlib.sha256(f"{self.source}\0{self.name}\0{self.length}\0{self.upright}\0".encode())
        if self.declared is not None:
            digest.update(repr(self.declared).encode())
        if self.annotation is not None:
            digest.update(np.ascontiguousarray(self.annotation.points_K2, dtype="<f8").tobytes())
            digest.update(np.ascontiguousarray(self.annotation.visible_K, dtype=bool).tobytes())
            digest.update(repr((self.annotation.box, sorted(self.annotation.attributes.items()))).encode())
        return digest.hexdigest()


def _scaled(annotation: Annotation, x: float, y: float) -> Annotation:
    """The annotation of an image whose pixels are x times narrower and y times lower; corners lie half a pixel off centres."""
    if x == y == 1.0:
        return annotation
    points_K2 = (annotation.points_K2 + 0.5) * (x, y) - 0.5
    box = annotation.box
    if box is not None:
        left, top, right, bottom = box
        box = (
            (left + 0.5) * x - 0.5,
            (top + 0.5) * y - 0.5,
            (right + 0.5) * x - 0.5,
            (bottom + 0.5) * y - 0.5,
        )
    return replace(annotation, points_K2=points_K2, box=box)


def printable(name: object) -> str:
    """A name as it can be written and printed: what is no Unicode in it (a Latin-1 file name) is spelt out."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def regular_size(path: Path) -> int:
    """Bytes of a file.

    Raises:
        UnusableError: There is none, it is no regular file (a pipe, a device), or its name is no Unicode.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 -- several times faster than Path.stat over a million files
        str(path).encode()
    except OSError as error:
        raise UnusableError(f"{printable(path)}: {error.strerror}", "unreadable") from error
    except UnicodeEncodeError as error:
        raise UnusableError(f"{printable(path)}: its name is not UTF-8; rename it", "unreadable") from error
    except ValueError as error:  # a NUL in the name
        raise UnusableError(f"{printable(path)!r}: {error}", "unreadable") from error
    if not stat.S_ISREG(found.st_mode):
        raise UnusableError(f"{path}: no regular file; remove it", "unreadable")
    return found.st_size


def stored_file(
    path: Path,
    *,
    source: str,
    name: str,
    annotation: Annotation | None = None,
    upright: bool = False,
    declared: DeclaredSize | None = None,
) -> StoredImage:
    """The record of a whole file.

    Raises:
        UnusableError: The file is missing, empty or no regular one.
    """
    length = regular_size(path)
    if length == 0:
        raise UnusableError(f"{path}: the file is empty; remove it or replace it", "unreadable")
    return StoredImage(source, name, str(path), annotation, upright, 0, length, declared)


def listed_file(
    path: Path,
    *,
    where: str,
    remedy: str,
    source: str,
    name: str,
    annotation: Annotation,
    upright: bool = False,
    declared: DeclaredSize | None = None,
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
        declared: The size that the annotation says the image has.

    Raises:
        UnusableError: The file is missing or empty; the message starts with ``where`` and ends with ``remedy``.
    """
    try:
        return stored_file(
            path, source=source, name=name, annotation=annotation, upright=upright, declared=declared
        )
    except UnusableError as error:
        raise UnusableError(f"{where}: {error}; {remedy}", error.reason) from error


def name_by_place(image: str, points_K2: np.ndarray) -> str:
    """What one of several faces in an image is called: by the mean of its landmarks, the same in every list and order."""
    x, y = np.nanmean(points_K2, axis=0)
    return f"{image}#{x:.1f}_{y:.1f}"


def uniquely_named(records: Sequence[FaceRecord]) -> list[FaceRecord]:
    """Records sorted by name; of those that share one, the first. The others are left out: nothing could tell them apart."""
    ordered: list[FaceRecord] = []
    for record in sorted(records, key=lambda record: (record.name, isinstance(record, Unusable))):
        previous = ordered[-1] if ordered else None
        if previous is None or previous.name != record.name or isinstance(record, Unusable):
            ordered.append(record)
            continue
        first, second = (getattr(r, "path", r.source) for r in (previous, record))
        problem = f"{second}: the name '{record.name}' is taken by {first}; rename or remove one"
        ordered.append(Unusable(record.source, record.name, "bad_annotation", problem))
    return ordered
