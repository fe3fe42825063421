"""Unlabelled images: folders searched recursively, and plain tars read in place.

A tar is never extracted: its index gives each member's offset, and images are read from there. A folder that holds tars and no
images stands for its tars.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.datasets._gather import Gathering
from pipeline.datasets._roots import expand, labels, tars_within
from pipeline.datasets.face import FaceRecord
from pipeline.datasets.image import EXTENSIONS, StoredImage, printable, stored_file
from pipeline.errors import DataError


def _is_image(name: str) -> bool:
    # macOS leaves "._name.jpg" beside images: no image, despite the extension.
    return os.path.splitext(name)[1].lower() in EXTENSIONS and not os.path.basename(name).startswith(".")  # noqa: PTH119, PTH122


def _walk(root: Path) -> Iterator[Path]:
    """Files under root; symbolic links are followed, each real folder once, so that a cycle ends."""
    seen: set[str] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders.sort()
        yield from (Path(folder, name) for name in sorted(files))


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
    except (tarfile.TarError, ValueError, OverflowError, OSError) as error:  # odd headers raise the others
        raise DataError(
            f"{path}: not a plain, whole tar ({error}); decompress it or copy it again"
        ) from error


class ImageFolder:
    """Reader of unlabelled images.

    An image's name is the root's own name and the path below it (``fairface/009/9102.jpg``), so that several
    roots can be given and a data set can be moved. Roots of one name are told apart by their parents'.

    Args:
        root: A folder, a plain ``.tar``, or a list of these; patterns (``web/*.tar``) and lists in braces
            (``web-{000..099}.tar``) stand for what they match.
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
        self.roots = expand(names)
        self.limit = limit
        self.source = source
        self.upright = upright
        self.remarks: list[str] = []

    @property
    def markup(self) -> None:
        """Unlabelled: no markup."""
        return

    def records(self) -> list[FaceRecord]:
        """All images, sorted by name. A damaged file is listed, and fails when it is read.

        What was passed over is said in ``remarks``.

        Raises:
            DataError: No images in a root, or a damaged or unsafe tar.
        """
        self.remarks = []
        files = {root: [root] if root.is_file() else list(_walk(root)) for root in self.roots}
        # Shards in a folder are roots of their own: their images are called alike however the shards are given.
        shards = {
            root: tars_within(root)
            if root.is_dir() and not any(map(_is_image, map(str, files[root])))
            else []
            for root in self.roots
        }
        named = labels(path for root in self.roots for path in shards[root] or [root])
        images = Gathering(self.source)
        for root in self.roots:
            before = len(images.listed())
            for path in shards[root] or [root]:
                if path.is_file():
                    self._tar(path, named[path], images)
                else:
                    self._folder(path, named[path], files[root], images)
            if len(images.listed()) == before:
                kinds = ", ".join(sorted(EXTENSIONS))
                raise DataError(
                    f"{root}: no images in it (looked for {kinds}, in all subfolders); correct 'root'"
                )
        records = images.ordered(self.roots[0], "images")
        if self.limit is not None and self.limit < len(records):
            ranked = sorted(records, key=lambda record: hashlib.sha1(record.name.encode()).digest())
            records = sorted(ranked[: self.limit], key=lambda record: record.name)
        return records

    def _folder(self, root: Path, label: str, files: list[Path], images: Gathering) -> None:
        passed: Counter[str] = Counter()
        for path in files:
            if not _is_image(path.name):
                passed[path.suffix.lower() or "no extension"] += not path.name.startswith(".")
                continue
            name = f"{label}/{printable(path.relative_to(root).as_posix())}"
            with images.entry(name):
                images.add(stored_file(path, source=self.source, name=name, upright=self.upright))
        self._remark(root, +passed)

    def _remark(self, place: Path, passed: Counter[str]) -> None:
        if passed:
            kinds = ", ".join(f"{count} × {printable(kind)}" for kind, count in passed.most_common(8))
            self.remarks.append(
                f"{place}: {passed.total()} files are no images by their extension and passed over: {kinds}"
            )

    def _tar(self, root: Path, label: str, images: Gathering) -> None:
        for member in _tar_members(root):
            name = f"{label}/{PurePosixPath(member.name).as_posix()}"
            images.add(
                StoredImage(
                    self.source,
                    printable(name),
                    str(root),
                    None,
                    self.upright,
                    member.offset_data,
                    member.size,
                )
            )


READER = ImageFolder
