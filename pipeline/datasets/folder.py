"""Unlabelled images: folders searched recursively, and plain tars read in place.

A tar is never extracted: its index gives each member's offset, and images are read from there.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.datasets.face import FaceRecord
from pipeline.datasets.image import EXTENSIONS, StoredImage, require_unique_names
from pipeline.errors import DataError
from pipeline.storage import absolute


def _is_image(name: str) -> bool:
    # macOS leaves "._name.jpg" beside images: no image, despite the extension.
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not os.path.basename(name).startswith(".")  # noqa: PTH119, PTH122


def _walk(root: Path) -> Iterator[Path]:
    """Images under root; symbolic links are followed, each real folder once, so that a cycle ends."""
    seen: set[str] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders.sort()
        yield from (Path(folder, name) for name in sorted(files) if _is_image(name))


def _tar_members(path: Path) -> Iterator[tarfile.TarInfo]:
    size = path.stat().st_size
    try:
        with tarfile.open(path, mode="r:") as tar:
            for member in tar:
                if PurePosixPath(member.name).is_absolute() or ".." in PurePosixPath(member.name).parts:
                    raise DataError(
                        f"{path}: member '{member.name}' points outside the archive; do not use this file"
                    )
                if not member.isfile() or not _is_image(member.name):
                    continue
                if member.offset_data + member.size > size:
                    raise DataError(f"{path}: truncated in member '{member.name}'; copy the file again")
                yield member
    except tarfile.TarError as error:
        raise DataError(
            f"{path}: not a plain, whole tar ({error}); decompress it or copy it again"
        ) from error


class ImageFolder:
    """Reader of unlabelled images.

    An image's name is the root's own name and the path below it (``fairface/009/9102.jpg``), so that several
    roots can be given and a data set can be moved.

    Args:
        root: A folder, a plain ``.tar``, or a list of these.
        limit: Keep this many images: those whose names' hashes rank lowest, an even draw over all folders
            that only grows when the limit grows. None keeps all.
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says.

    Raises:
        DataError: A root does not exist or is neither a folder nor a .tar; the limit is below 1.
    """

    def __init__(
        self, root: str | list[str], limit: int | None = None, source: str = "images", upright: bool = True
    ) -> None:
        names = [root] if isinstance(root, str) else list(root)
        if not names:
            raise DataError("field 'root': empty list; give a folder or a .tar of images")
        if limit is not None and limit < 1:
            raise DataError(f"field 'limit' is {limit}: at least 1, or null for all images")
        self.roots = [Path(absolute(name)) for name in names]
        self.limit = limit
        self.source = source
        self.upright = upright
        for path in self.roots:
            if not path.exists():
                raise DataError(f"{path}: no such folder or file; correct 'root'")
            if not path.is_dir() and path.suffix != ".tar":
                raise DataError(f"{path}: neither a folder nor a plain .tar; unpack it or convert it")

    @property
    def markup(self) -> None:
        """Unlabelled: no markup."""
        return

    def records(self) -> list[FaceRecord]:
        """All images, sorted by name. A damaged file is listed, and fails when it is read.

        Raises:
            DataError: No images in a root, a damaged or unsafe tar, or two images of one name.
        """
        records: list[StoredImage] = []
        for root in self.roots:
            found = self._tar(root) if root.is_file() else self._folder(root)
            if not found:
                kinds = ", ".join(sorted(EXTENSIONS))
                raise DataError(
                    f"{root}: no images in it (looked for {kinds}, in all subfolders); correct 'root'"
                )
            records += found
        records = require_unique_names(records)
        if self.limit is not None and self.limit < len(records):
            ranked = sorted(records, key=lambda record: hashlib.sha1(record.name.encode()).digest())
            records = sorted(ranked[: self.limit], key=lambda record: record.name)
        return list(records)

    def _folder(self, root: Path) -> list[StoredImage]:
        return [
            StoredImage(
                self.source,
                f"{root.name}/{path.relative_to(root).as_posix()}",
                str(path),
                None,
                self.upright,
                0,
                os.stat(path).st_size,  # noqa: PTH116 -- Path.stat is several times slower, and there may be a million
            )
            for path in _walk(root)
        ]

    def _tar(self, root: Path) -> list[StoredImage]:
        return [
            StoredImage(
                self.source,
                f"{root.stem}/{PurePosixPath(member.name).as_posix()}",
                str(root),
                None,
                self.upright,
                member.offset_data,
                member.size,
            )
            for member in _tar_members(root)
        ]


READER = ImageFolder
