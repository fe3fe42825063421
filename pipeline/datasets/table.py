"""Faces listed in one table: the way in for any data set that has no reader of its own.

CSV (``.csv``, header line required):

    path                       image, relative to ``root``
    x0,y0,x1,y1,…              K landmarks of the markup, px, 0-based: the top-left pixel's centre is (0, 0)
    v0,v1,…                    optional: 1 visible, 0 occluded; x and y may be empty where v is 0. See ``one_means``
    left,top,right,bottom      optional: the data set's face box, px
    width,height               optional: the size of the image that was annotated, px, compared with the file's
    attribute.NAME             optional, any number: kept as text

JSON lines (``.jsonl``): one object a line with ``path``, ``points`` ([[x, y], …], null for an unknown
position), and optionally ``visible`` ([true, …]), ``box`` ([left, top, right, bottom]), ``size`` ([width, height]) and
``attributes`` (an object).

An image may have several lines, one a face: each is then called by the mean of its landmarks (``a.jpg#52.1_60.4``), whatever
the order of the lines.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.datasets._checks import Box, below, box, mapping, on_disk, parse_json, size
from pipeline.datasets._decode import DeclaredSize
from pipeline.datasets._gather import Gathering
from pipeline.datasets._visibility import check_one_means, visibilities
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import StoredImage, listed_file, name_by_place
from pipeline.errors import DataError, nearest
from pipeline.markup import Markup, load_markup

_BOX = ("left", "top", "right", "bottom")
_SIZE = ("width", "height")
_JSON_FIELDS = ("path", "points", "visible", "box", "size", "attributes")


@dataclass(frozen=True)
class _Row:
    """A line of the table as it is written; every value is still to be checked."""

    where: str
    path: Any
    pairs: Any
    visible: Any
    box: Any
    size: Any
    attributes: Any


def _number(value: Any, where: str, field: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{where}: field '{field}' is {value!r}, expected a number; correct the table"
        ) from error
    if not np.isfinite(number):
        raise DataError(
            f"{where}: field '{field}' is {value!r}, not finite; leave the point empty and set its v to 0"
        )
    return number


def _unknown(name: str, known: tuple[str, ...], where: str) -> DataError:
    near = nearest(name, known)
    hint = f"did you mean '{near}'?" if near else f"known are {', '.join(known[:12])}"
    return DataError(
        f"{where}: unknown column '{name}'; {hint}; columns of your own are called 'attribute.NAME'"
    )


class FaceTable:
    """Reader of a table of labelled faces; see the module's docstring for its columns.

    Args:
        path: ``.csv`` or ``.jsonl``.
        root: Folder that the table's image paths are relative to.
        markup: Packaged markup name, or path of a YAML.
        source: Name written beside every sample.
        upright: Turn images as their EXIF orientation says: only where the landmarks refer to that.
        one_means: What 1 means where the table also has a 2: ``visible`` or, as in COCO, ``occluded``, 0 then being a landmark
            without position. None for a table of 0 and 1.

    Raises:
        DataError: Table or root does not exist, or the table has another extension.
        ConfigError: No such markup.
    """

    def __init__(
        self,
        path: str,
        root: str,
        markup: str,
        source: str = "table",
        upright: bool = False,
        one_means: str | None = None,
    ) -> None:
        self.path = on_disk(path)
        self.root = on_disk(root)
        self.source = source
        self.upright = upright
        self.one_means = check_one_means(one_means)
        self._markup = load_markup(markup)
        if not self.path.is_file():
            raise DataError(f"{self.path}: no such file; correct 'path'")
        if self.path.suffix not in {".csv", ".jsonl"}:
            raise DataError(f"{self.path}: extension '{self.path.suffix}'; give a .csv or a .jsonl")
        if not self.root.is_dir():
            raise DataError(
                f"{self.root}: no such folder; set 'root' to what the table's paths are relative to"
            )

    @property
    def markup(self) -> Markup:
        """As given."""
        return self._markup

    def records(self) -> list[FaceRecord]:
        """All faces, sorted by name; a malformed line is an ``Unusable``.

        Raises:
            DataError: No table, or a header without one of the columns.
        """
        faces = Gathering(self.source)
        found: list[tuple[str, Annotation, DeclaredSize | None, str]] = []
        for row in self._rows(faces):
            with faces.entry(row.where.removeprefix(f"{self.path}, ")):
                found.append((below(row.path, self.root, row.where), *self._annotation(row), row.where))
        several = Counter(image for image, *_ in found)
        for image, annotation, declared, where in found:
            name = name_by_place(image, annotation.points_K2) if several[image] > 1 else image
            with faces.entry(name):
                faces.add(self._record(image, name, annotation, declared, where))
        return faces.ordered(self.path, "faces")

    def _record(
        self, image: str, name: str, annotation: Annotation, declared: DeclaredSize | None, where: str
    ) -> StoredImage:
        return listed_file(
            self.root / image,
            where=where,
            remedy="correct the table or 'root'",
            source=self.source,
            name=name,
            annotation=annotation,
            upright=self.upright,
            declared=declared,
        )

    def _annotation(self, row: _Row) -> tuple[Annotation, DeclaredSize | None]:
        points_K2, visible_K = self._points(row.pairs, row.visible, row.where)
        declared = None
        if row.size is not None:
            if not isinstance(row.size, (list, tuple)) or len(row.size) != 2:
                raise DataError(f"{row.where}: field 'size' is {row.size!r}, expected [width, height]")
            width, height = row.size
            declared = size(width, height, row.where)
        attributes = mapping(row.attributes, row.where, "field 'attributes'")
        return Annotation(points_K2, visible_K, self._box(row.box, row.where), attributes), declared

    def _points(self, pairs: Any, visible: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
        count = self._markup.num_landmarks
        if not isinstance(pairs, list) or not isinstance(visible, (list, type(None))):
            raise DataError(f"{where}: 'points' and 'visible' are no lists; correct the table")
        if len(pairs) != count:
            raise DataError(
                f"{where}: {len(pairs)} points, markup '{self._markup.name}' has {count}; "
                "correct the table or 'markup'"
            )
        if visible is not None and len(visible) != count:
            raise DataError(f"{where}: {len(visible)} visibilities for {count} points; correct the table")
        points_K2 = np.full((count, 2), np.nan)
        visible_K, placed_K = np.ones(count, dtype=bool), np.ones(count, dtype=bool)
        if visible is not None:
            visible_K, placed_K = visibilities(visible, self.one_means, where)
        for k, pair in enumerate(pairs):
            if pair is None or not placed_K[k]:
                if visible_K[k]:
                    raise DataError(f"{where}: point {k} is empty but visible; give it, or set v{k} to 0")
                continue
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise DataError(f"{where}: point {k} is {pair!r}, expected [x, y]; correct the table")
            points_K2[k] = _number(pair[0], where, f"x{k}"), _number(pair[1], where, f"y{k}")
        if not np.isfinite(points_K2).any():
            raise DataError(f"{where}: a face without any point; remove the line")
        return points_K2, visible_K

    def _box(self, values: Any, where: str) -> Box | None:
        if values is None:
            return None
        if not isinstance(values, (list, tuple)) or len(values) != 4:
            raise DataError(f"{where}: field 'box' is {values!r}, expected [left, top, right, bottom]")
        return box([_number(v, where, n) for v, n in zip(values, _BOX, strict=True)], where)

    def _rows(self, faces: Gathering) -> Iterator[_Row]:
        return self._csv(faces) if self.path.suffix == ".csv" else self._jsonl(faces)

    def _check_header(self, header: list[str], known: tuple[str, ...], required: tuple[str, ...]) -> None:
        where = f"{self.path}, line 1"
        for separator, word in ((";", "semicolons"), ("\t", "tabs")):
            if len(header) == 1 and separator in header[0]:
                raise DataError(f"{where}: columns are separated by {word}; export the table with commas")
        for name in header:
            if name not in known and not name.startswith("attribute."):
                raise _unknown(name, known, where)
        missing = [name for name in required if name not in header]
        if missing:
            raise DataError(
                f"{where}: no column '{missing[0]}'; markup '{self._markup.name}' has "
                f"{self._markup.num_landmarks} landmarks"
            )

    def _csv(self, faces: Gathering) -> Iterator[_Row]:
        count = self._markup.num_landmarks
        coordinates = tuple(f"{axis}{k}" for k in range(count) for axis in "xy")
        visibilities = tuple(f"v{k}" for k in range(count))
        known = ("path", *_BOX, *_SIZE, *coordinates, *visibilities)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            try:
                header = list(rows.fieldnames or [])
                optional = [group for group in (visibilities, _BOX, _SIZE) if group[0] in header]
                required = ("path", *coordinates, *(name for group in optional for name in group))
                self._check_header(header, known, required)
                for row in rows:
                    where = f"{self.path}, line {rows.line_num}"
                    if None in row or None in row.values():
                        problem = f"{where}: its number of cells differs from the header's; correct the table"
                        faces.leave_out(f"line {rows.line_num}", problem)
                        continue
                    pairs = [
                        None if row[f"x{k}"] == "" and row[f"y{k}"] == "" else (row[f"x{k}"], row[f"y{k}"])
                        for k in range(count)
                    ]

                    def cells(group: tuple[str, ...], row: dict[str, str] = row) -> list[str] | None:
                        return [row[name] for name in group] if group in optional else None

                    attributes = {
                        n.removeprefix("attribute."): row[n] for n in header if n.startswith("attribute.")
                    }
                    yield _Row(
                        where, row["path"], pairs, cells(visibilities), cells(_BOX), cells(_SIZE), attributes
                    )
            except (csv.Error, UnicodeDecodeError) as error:
                raise DataError(f"{self.path}, line {rows.line_num}: not CSV in UTF-8 ({error})") from error

    def _jsonl(self, faces: Gathering) -> Iterator[_Row]:
        # Lines are decoded one by one: one that is not UTF-8 is one line's problem.
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                where = f"{self.path}, line {number}"
                row = None
                with faces.entry(f"line {number}"):
                    row = self._json_row(line, where)
                if row is not None:
                    yield row

    def _json_row(self, line: bytes, where: str) -> _Row | None:
        """One line; None if it is blank."""
        try:
            content = line.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: not UTF-8 ({error}); save the table as UTF-8") from error
        if not content.strip():
            return None
        row = parse_json(content, where, "correct the table")
        if not isinstance(row, dict) or not isinstance(row.get("points"), list):
            raise DataError(f"{where}: expected an object with 'path' and 'points'; correct the table")
        for name in row:
            if name not in _JSON_FIELDS:
                raise _unknown(name, _JSON_FIELDS, where)
        return _Row(where, *(row.get(name) for name in _JSON_FIELDS))


READER = FaceTable
