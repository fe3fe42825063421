"""What an export of annotations was recognised as: the reader that fits, and the landmarks it names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.datasets.label_studio import without_prefix
from pipeline.errors import DataError

_LOOKED_FOR = 100


@dataclass(frozen=True)
class Found:
    """An annotation file or layout, recognised.

    Attributes:
        title: What it is, for people.
        reader: The reader's name.
        num_landmarks: K.
        names: The landmarks' own names, in order; None where they have none but numbers.
        edges: Pairs of landmarks that a skeleton joins.
        path: The file of annotations; None of a layout of a folder.
        root: The folder of images; None until it is looked for.
        images: The images' paths as the file has them, to find their folder by.
        keys: Further keys of the reader.
        markup: Of a reader that brings its own; else None.
        remarks: What a user should know of how it was read.
    """

    title: str
    reader: str
    num_landmarks: int
    names: tuple[str, ...] | None = None
    edges: tuple[tuple[int, int], ...] = ()
    path: Path | None = None
    root: Path | None = None
    images: tuple[str, ...] = ()
    keys: dict[str, Any] = field(default_factory=dict)
    markup: str | None = None
    remarks: tuple[str, ...] = ()

    def spec(self, markup: str) -> dict[str, Any]:
        """The reader as a config names it.

        Args:
            markup: Packaged name, or path of a YAML.
        """
        where = {"path": self.path, "root": self.root}
        given = {key: str(place) for key, place in where.items() if place is not None}
        return {
            "reader": self.reader,
            **given,
            **({} if self.markup else {"markup": markup}),
            **self.keys,
        }

    def remarking(self, remark: str) -> Found:
        """The same, and one thing more to know."""
        return replace(self, remarks=(*self.remarks, remark))


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; what is none is the reader's to complain of."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def ordered_names(labels: Iterable[str]) -> tuple[int, tuple[str, ...] | None]:
    """K, and names as they first occur; None for numbers 0 … K − 1 or 1 … K, which readers know as they are."""
    found = list(dict.fromkeys(labels))
    if all(label.isdecimal() for label in found):
        values = sorted(map(int, found))
        if values in (list(range(len(found))), list(range(1, len(found) + 1))):
            return len(found), None
        found.sort(key=int)
    return len(found), tuple(found)


def one_label(counts: dict[str, int], asked: str | None, path: Path, what: str) -> str:
    """The label of the annotated things: the only one, or the one asked for.

    Raises:
        DataError: There are several, or not this one.
    """
    known = ", ".join(f"{label} ({count})" for label, count in counts.items())
    if asked is not None and asked not in counts:
        raise DataError(f"{path}: no {what} labelled '{asked}' has landmarks; there are {known or 'none'}")
    if asked is None and len(counts) != 1:
        raise DataError(f"{path}: {what} of several labels have landmarks, {known}: choose one with --label")
    return asked if asked is not None else next(iter(counts))


def _is_there(found: Found, folder: Path, name: str) -> bool:
    names = {name, without_prefix(name)} if found.reader == "label_studio" else {name}
    return any((folder / each).is_file() for each in names)


def folder_of_images(found: Found, given: Sequence[Path]) -> Found:
    """The export with the folder its images lie in: of the likely ones, that which holds most of them.

    Args:
        found: With a path, and names of images.
        given: Folders to look in besides those around the file.

    Raises:
        DataError: None of them holds any.
    """
    assert found.path is not None
    around = found.path.parent
    below = [folder for folder in sorted(around.glob("*/")) if not folder.name.startswith(".")]
    likely = list(
        dict.fromkeys([*given, around, around / "images", *below, around.parent, around.parent / "images"])
    )
    # A name that leads elsewhere is refused by the reader; nothing is looked for there.
    inside = [n for n in found.images if n and ".." not in Path(n).parts and not Path(n).is_absolute()]
    sample = inside[:: -(-len(inside) // _LOOKED_FOR) or 1]
    held = {folder: sum(_is_there(found, folder, name) for name in sample) for folder in likely}
    best = max(likely, key=lambda folder: held[folder])  # of several the first
    if not held[best]:
        raise DataError(
            f"{found.path}: its images ({', '.join(found.images[:3]) or 'it names none'}) are in none of "
            f"{', '.join(map(str, likely))}: say where with --images"
        )
    found = replace(found, root=best)
    if held[best] < len(sample):
        return found.remarking(
            f"{len(sample) - held[best]} of {len(sample)} images looked for are not in {best}"
        )
    return found
