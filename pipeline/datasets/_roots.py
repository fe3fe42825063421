"""The folders and tars that a list of roots stands for, and what each is called in the names of its images."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from braceexpand import braceexpand

from pipeline.errors import DataError
from pipeline.storage import absolute


def expand(roots: Sequence[str]) -> list[Path]:
    """Existing folders and plain tars on local disks; those in object stores are ``pipeline.datasets._remote``'s.

    A root that exists is itself. Another may be a list in braces, as WebDataset writes shards (``web-{000..099}.tar``), or a
    pattern with ``*``, ``?`` or ``[…]``.

    Raises:
        DataError: One that stands for nothing, for neither folder nor .tar, or for what is given already.
    """
    found: list[Path] = []
    for root in roots:
        for path in _meant(root):
            if not path.is_dir() and path.suffix != ".tar":
                raise DataError(f"{path}: neither a folder nor a plain .tar; unpack it or convert it")
            if path in found:
                raise DataError(f"field 'root': {path} is given twice; remove one")
            found.append(path)
    return found


def _meant(root: str) -> list[Path]:
    whole = Path(absolute(root))
    if whole.exists():
        return [whole]
    try:
        patterns = [str(absolute(one)) for one in braceexpand(root)]
    except ValueError as error:  # unbalanced braces
        raise DataError(f"field 'root' is {root!r}: {error}") from error
    paths: list[Path] = []
    for pattern in patterns:
        matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 -- Path.glob takes no absolute pattern
        if not matches:
            raise DataError(f"{pattern}: no such folder or file; correct 'root'")
        paths += [Path(match) for match in matches]
    return paths


def _parts(root: Path | str) -> tuple[str, ...]:
    if isinstance(root, Path):
        return (*root.parts[1:-1], root.stem if root.is_file() else root.name)
    return tuple(root.partition("://")[2].removesuffix(".tar").strip("/").split("/"))


def tars_within(folder: Path) -> list[Path]:
    """All tars in a folder and below it, sorted."""
    return sorted(
        Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=False)
        for name in names
        if name.endswith(".tar") and not name.startswith(".")
    )


def labels(roots: Iterable[Path | str]) -> dict[Path | str, str]:
    """What each root is called: its own name (a tar's without extension), and of as many of its parents as tell it from others.

    So a root alone is called the same wherever it lies, on a disk or, a URL, in an object store, and adding others changes only
    the names that they share.
    """
    paths = list(roots)
    parts = {path: _parts(path) for path in paths}
    depth = dict.fromkeys(paths, 1)
    while True:
        named = {path: "/".join(parts[path][-depth[path] :]) for path in paths}
        shared = {name for name, count in Counter(named.values()).items() if count > 1}
        longer = [path for path in paths if named[path] in shared and depth[path] < len(parts[path])]
        if not longer:
            # A folder 'web' beside 'web.tar'.
            return {path: str(path).strip("/") if named[path] in shared else named[path] for path in paths}
        for path in longer:
            depth[path] += 1
