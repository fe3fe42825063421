"""Unlabelled images: folders searched recursively, and plain tars read in place; on local disks or in an object store.

A tar is never extracted: its index gives each member's offset, and images are read from there. A folder that holds tars and no
images stands for its tars.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipeline.datasets._gather import Gathering
from pipeline.datasets._objects import expand_urls, open_seekable, sizes_under
from pipeline.datasets._roots import expand, labels, tars_within
from pipeline.datasets.face import FaceRecord, UnusableError
from pipeline.datasets.image import EXTENSIONS, StoredImage, printable, stored_file
from pipeline.errors import DataError
from pipeline.storage import absolute, is_local
from pipeline.words import counted


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


@contextmanager
def _opened(tar: Path | str) -> Iterator[BinaryIO]:
    if isinstance(tar, str):
        with open_seekable(tar) as remote:
            yield remote
        return
    with tar.open("rb") as file:
        yield file


def _tar_members(path: Path | str, size: int) -> Iterator[tarfile.TarInfo]:
    try:
        with _opened(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
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


def _tars_among(url: str, sizes: dict[str, int]) -> dict[str, int]:
    """The tars under a URL that is one, or that holds no images; bytes by URL."""
    if any(map(_is_image, sizes)):
        return {}
    tars = {name: size for name, size in sizes.items() if f"{url}/{name}".rstrip("/").endswith(".tar")}
    return {f"{url}/{name}".rstrip("/"): size for name, size in tars.items() if not _hidden(name)}


def _hidden(name: str) -> bool:
    return PurePosixPath(name).name.startswith(".")


class ImageFolder:
    """Reader of unlabelled images.

    An image's name is the root's own name and the path below it (``fairface/009/9102.jpg``), so that several
    roots can be given and a data set can be moved. Roots of one name are told apart by their parents'.

    Args:
        root: A folder, a plain ``.tar``, or a list of these, on a disk or in an object store; patterns (``web/*.tar``) and
            lists in braces (``web-{000..099}.tar``) stand for what they match.
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
        self.roots = expand([name for name in names if is_local(absolute(name))])
        self.urls = expand_urls(absolute(name) for name in names if not is_local(absolute(name)))
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
        sizes = {url: sizes_under(url) for url in self.urls}
        tars = {url: _tars_among(url, sizes[url]) for url in self.urls}
        local = [path for root in self.roots for path in shards[root] or [root]]
        named = labels([*local, *(place for url in self.urls for place in tars[url] or [url])])
        images = Gathering(self.source)
        everywhere: list[Path | str] = [*self.roots, *self.urls]
        for root in everywhere:
            before = len(images.listed())
            if isinstance(root, str):
                for tar, size in tars[root].items():
                    self._tar(tar, size, named[tar], images)
                if not tars[root]:
                    self._objects(root, named[root], sizes[root], images)
            else:
                for path in shards[root] or [root]:
                    if path.is_file():
                        self._tar(path, path.stat().st_size, named[path], images)
                    else:
                        self._folder(path, named[path], files[root], images)
            if len(images.listed()) == before:
                kinds = ", ".join(sorted(EXTENSIONS))
                raise DataError(
                    f"{root}: no images in it (looked for {kinds}, in all subfolders); correct 'root'"
                )
        records = images.ordered(everywhere[0], "images")
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

    def _objects(self, url: str, label: str, sizes: dict[str, int], images: Gathering) -> None:
        passed: Counter[str] = Counter()
        for below, size in sizes.items():
            if not _is_image(below):
                passed[PurePosixPath(below).suffix.lower() or "no extension"] += not _hidden(below)
                continue
            name = f"{label}/{printable(below)}"
            with images.entry(name):
                if size == 0:
                    raise UnusableError(
                        f"{url}/{below}: the object is empty; remove it or replace it", "unreadable"
                    )
                images.add(
                    StoredImage(
                        self.source, name, f"{url}/{below}", None, self.upright, offset=0, length=size
                    )
                )
        self._remark(url, +passed)

    def _remark(self, place: Path | str, passed: Counter[str]) -> None:
        if passed:
            kinds = ", ".join(f"{count} × {printable(kind)}" for kind, count in passed.most_common(8))
            self.remarks.append(
                f"{place}: {counted(passed.total(), 'file')} passed over, no image by extension: {kinds}"
            )

    def _tar(self, root: Path | str, size: int, label: str, images: Gathering) -> None:
        for member in _tar_members(root, size):
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
