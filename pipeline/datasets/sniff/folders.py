"""Layouts with an annotation file beside each image, recognised: ``.pts`` of any markup, and FaceSynthetics."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pipeline.datasets._pts import count_points
from pipeline.datasets.face_synthetics import SUFFIX
from pipeline.datasets.pts import folders_of
from pipeline.datasets.sniff.found import Found
from pipeline.errors import DataError
from pipeline.markup import load_markup

_LOOKED_AT = 50


def pts(root: Path) -> Found | None:
    """A folder that holds ``.pts`` files, here or below; None where it holds none.

    Raises:
        DataError: None of those looked at can be read.
    """
    files = [p for f in folders_of(root, ".pts") for p in sorted(f.iterdir()) if p.suffix.lower() == ".pts"]
    if not files:
        return None
    counts: Counter[int] = Counter()
    problem: DataError | None = None
    for path in files[:: -(-len(files) // _LOOKED_AT)]:
        try:
            counts[count_points(path)] += 1
        except DataError as error:
            problem = problem or error
    if not counts:
        raise problem or DataError(f"{root}: no .pts file can be read")
    (landmarks, _), *others = counts.most_common()
    found = Found(title=".pts beside images", reader="pts", num_landmarks=landmarks, root=root)
    if others:
        numbers = ", ".join(f"{count} with {number}" for number, count in others)
        found = found.remarking(
            f"not all .pts have {landmarks} points: {numbers} of those looked at are left out"
        )
    return found.remarking(
        "coordinates are taken to count from 1, as in 300-W; else set 'first' of the reader"
    )


def face_synthetics(root: Path) -> Found | None:
    """A folder laid out as FaceSynthetics; None where it is not."""
    if next(root.glob(f"*{SUFFIX}"), None) is None:
        return None
    markup = load_markup("faces70")
    return Found(
        title="FaceSynthetics",
        reader="face_synthetics",
        num_landmarks=markup.num_landmarks,
        root=root,
        markup=markup.name,
    )
