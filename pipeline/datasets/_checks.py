"""Checks that every reader of somebody else's files makes, with one wording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from pipeline.datasets._decode import DeclaredSize
from pipeline.errors import DataError
from pipeline.storage import absolute, is_local

Box = tuple[float, float, float, float]


def on_disk(path: str) -> Path:
    """Where a reader of a data set's own files finds them.

    Raises:
        DataError: A URL: annotations are read in place, by every worker, from local disks alone.
    """
    whole = absolute(path)
    if not is_local(whole):
        raise DataError(
            f"{whole}: this reader reads local files; copy the data set to a disk that all workers share (what is prepared from "
            "it may lie in the store), or use reader 'folder' for images without landmarks"
        )
    return Path(whole)


def folder(path: str, field: str, holds: str) -> Path:
    """An existing folder.

    Raises:
        DataError: There is none; ``holds`` says what it should hold.
    """
    found = on_disk(path)
    if not found.is_dir():
        raise DataError(f"{found}: no such folder; set '{field}' to the one that holds {holds}")
    return found


def file(path: str, field: str, kind: str) -> Path:
    """An existing file.

    Raises:
        DataError: There is none; ``kind`` says what it should be.
    """
    found = on_disk(path)
    if not found.is_file():
        raise DataError(f"{found}: no such file; set '{field}' to {kind}")
    return found


def below(name: Any, root: Path, where: str) -> str:
    """An image's path as an annotation file gives it, made sure to stay below the folder of images.

    Backslashes count as separators: lists written on Windows have them.

    Returns:
        The relative path, forward slashes.

    Raises:
        DataError: Empty, absolute, or with ``..``.
    """
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"{where}: the image's path is {name!r}, expected a path below {root}")
    path = PurePosixPath(name.strip().replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(name.strip()).drive:
        raise DataError(f"{where}: '{name}' leads out of {root}; give a path below it")
    return path.as_posix()


def text(path: Path) -> str:
    """A text file's content, without a byte-order mark.

    Raises:
        DataError: It is no regular file (opening a pipe would wait for ever), cannot be read, or is no UTF-8.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError("no regular file")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # no Unicode; a NUL in the name
        raise DataError(f"{path}: cannot read the annotation: {error}; download it again") from error


def lines(path: Path) -> list[str]:
    """A text file's lines. Raises as ``text``."""
    return text(path).splitlines()


def parse_json(content: str, where: str, remedy: str) -> Any:
    """JSON from somebody else.

    Raises:
        DataError: It is none, or nested more deeply than any annotation is.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:  # a ValueError too: a number of thousands of digits
        raise DataError(f"{where}: not JSON ({error}); {remedy}") from error


def load_json(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        DataError: It cannot be read or is no JSON.
    """
    return parse_json(text(path), str(path), "export it again")


def mapping(value: Any, where: str, field: str) -> dict[str, Any]:
    """A JSON object; an empty one for null.

    Raises:
        DataError: It is another thing.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DataError(
            f"{where}: {field} is of type {type(value).__name__}, expected an object; export it again"
        )
    return value


def size(width: Any, height: Any, where: str) -> DeclaredSize | None:
    """The size that an annotation says its image has; None where it says nothing, which some tools write as 0.

    Raises:
        DataError: No whole number of pixels.
    """
    if width in (None, "", 0, "0") and height in (None, "", 0, "0"):
        return None
    sides = number(width, where, "the image's width"), number(height, where, "the image's height")
    if not all(side >= 1 and side == int(side) for side in sides):
        raise DataError(f"{where}: the image's size is {width!r} × {height!r}, expected pixels; correct it")
    return DeclaredSize(int(sides[0]), int(sides[1]))


def number(value: Any, where: str, field: str) -> float:
    """A finite number.

    Raises:
        DataError: It is none.
    """
    try:
        if isinstance(value, bool):
            raise TypeError("a truth value")
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{where}: {field} is {value!r}, expected a number; correct the annotation"
        ) from error
    if not np.isfinite(found):
        raise DataError(f"{where}: {field} is {value!r}, not finite; correct the annotation")
    return found


def numbers(values: Sequence[Any], where: str, field: str) -> np.ndarray:
    """(N,) float64.

    Raises:
        DataError: One is no finite number; the message counts from 1, as columns are counted.
    """
    return np.array([number(value, where, f"{field} {i}") for i, value in enumerate(values, start=1)])


def box(values: Sequence[float], where: str) -> Box:
    """A face box, (left, top, right, bottom) px.

    Raises:
        DataError: It is empty.
    """
    left, top, right, bottom = (float(value) for value in values)
    if right <= left or bottom <= top:
        raise DataError(
            f"{where}: the box is empty (left {left}, top {top}, right {right}, bottom {bottom}); correct it"
        )
    return left, top, right, bottom


def require_faces(count: int, path: Path | str, what: str) -> None:
    """Refuse an empty set.

    Raises:
        DataError: ``count`` is 0.
    """
    if count == 0:
        raise DataError(f"{path}: no {what} in it; correct the path, or export the annotation again")
