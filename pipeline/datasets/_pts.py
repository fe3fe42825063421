"""A ``.pts`` file: the landmarks of one face, one a line, as 300-W and its successors are distributed.

Coordinates are 1-based, MATLAB's: 1 is subtracted, giving the pixel-centre convention. Mirrors of the data sets carry the lines
without the header and braces; there is nothing but their number to tell such a file from a truncated one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.datasets._checks import lines
from pipeline.errors import DataError


def read_pts(path: Path, num_landmarks: int) -> np.ndarray:
    """Read one ``.pts`` file.

    Args:
        path: The file: ``version: 1``, ``n_points: K``, then K lines ``x y`` between braces; or the K lines alone.
        num_landmarks: K.

    Returns:
        (K, 2) float64, (x, y) px, 0-based.

    Raises:
        DataError: Naming file and line.
    """
    points = [_point(line, f"{path}, line {number}") for number, line in _body(lines(path), path)]
    if len(points) != num_landmarks:
        raise DataError(
            f"{path}: {len(points)} points, expected {num_landmarks}; correct it or remove it and its image"
        )
    return np.array(points, dtype=np.float64) - 1.0


def count_points(path: Path) -> int:
    """How many landmarks a ``.pts`` file holds.

    Raises:
        DataError: It is none, or truncated.
    """
    return len(_body(lines(path), path))


def _body(content: list[str], path: Path) -> list[tuple[int, str]]:
    """The lines that hold points, each with its number."""
    numbered = [(number, line.strip()) for number, line in enumerate(content, start=1)]
    opening = next((index for index, (_, line) in enumerate(numbered) if line == "{"), None)
    if opening is None:
        plain = [(number, line) for number, line in numbered if line]
        if not plain or len(plain[0][1].split()) != 2 or ":" in plain[0][1]:
            raise DataError(f"{path}: no line '{{': this is no .pts file; download the annotation again")
        return plain
    closing = next((index for index, (_, line) in enumerate(numbered) if line == "}"), None)
    body = numbered[opening + 1 : closing]
    if closing is None:
        # A line cut in two is the more telling message.
        for number, line in body:
            _point(line, f"{path}, line {number}")
        raise DataError(f"{path}: no line '}}': the file is truncated; download the annotation again")
    return body


def _point(line: str, where: str) -> tuple[float, float]:
    try:
        x, y = (float(field) for field in line.split())
    except ValueError as error:
        raise DataError(f"{where}: expected 'x y', got {line!r}; correct the annotation") from error
    if not (np.isfinite(x) and np.isfinite(y)):
        raise DataError(f"{where}: {line!r} is not finite; correct the annotation")
    return x, y
