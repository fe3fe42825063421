"""Faces listed in one table: the way in for any data set that has no reader of its own.

CSV (``.csv``, header line required):

    path                       image, relative to ``root``
    x0,y0,x1,y1,…              K landmarks of the markup, px, 0-based: the top-left pixel's centre is (0, 0)
    v0,v1,…                    optional: 1 visible, 0 occluded; x and y may be empty where v is 0
    left,top,right,bottom      optional: the data set's face box, px
    attribute.NAME             optional, any number: kept as text

JSON lines (``.jsonl``): one object a line with ``path``, ``points`` ([[x, y], …], null for an unknown
position), and optionally ``visible`` ([true, …]), ``box`` ([left, top, right, bottom]) and ``attributes``
(an object).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pipeline.datasets._checks import Box, box
from pipeline.datasets.face import Annotation, FaceRecord
from pipeline.datasets.image import StoredImage, listed_file, require_unique_names
from pipeline.errors import DataError, nearest
from pipeline.markup import Markup, load_markup
from pipeline.storage import absolute

_BOX = ("left", "top", "right", "bottom")
_JSON_FIELDS = ("path", "points", "visible", "box", "attributes")


def _number(value: Any, where: str, field: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
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

    Raises:
        DataError: Table or root does not exist, or the table has another extension.
        ConfigError: No such markup.
    """

    def __init__(
        self, path: str, root: str, markup: str, source: str = "table", upright: bool = False
    ) -> None:
        self.path = Path(absolute(path))
        self.root = Path(absolute(root))
        self.source = source
        self.upright = upright
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
        """All faces, sorted by name.

        Raises:
            DataError: Naming the table's line and field.
        """
        rows = self._csv() if self.path.suffix == ".csv" else self._jsonl()
        records = [self._record(name, annotation, where) for name, annotation, where in rows]
        if not records:
            raise DataError(f"{self.path}: no faces in it; the table is empty")
        return list(require_unique_names(records))

    def _record(self, name: Any, annotation: Annotation, where: str) -> StoredImage:
        if not isinstance(name, str) or not name:
            raise DataError(f"{where}: field 'path' is {name!r}, expected an image's path below {self.root}")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DataError(f"{where}: '{name}' leads out of 'root' ({self.root}); give a path below it")
        return listed_file(
            self.root / name,
            where=where,
            remedy="correct the table or 'root'",
            source=self.source,
            name=name,
            annotation=annotation,
            upright=self.upright,
        )

    def _points(
        self, pairs: list[Any], visible: list[Any] | None, where: str
    ) -> tuple[np.ndarray, np.ndarray]:
        count = self._markup.num_landmarks
        if len(pairs) != count:
            raise DataError(
                f"{where}: {len(pairs)} points, markup '{self._markup.name}' has {count}; "
                "correct the table or 'markup'"
            )
        if visible is not None and len(visible) != count:
            raise DataError(f"{where}: {len(visible)} visibilities for {count} points; correct the table")
        points_K2 = np.full((count, 2), np.nan)
        visible_K = np.ones(count, dtype=bool)
        for k, pair in enumerate(pairs):
            if visible is not None:
                if visible[k] not in (0, 1, "0", "1"):  # True == 1
                    raise DataError(
                        f"{where}: field 'v{k}' is {visible[k]!r}, expected 0 or 1; correct the table"
                    )
                visible_K[k] = int(visible[k]) == 1
            if pair is None:
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

    def _csv(self) -> Iterator[tuple[Any, Annotation, str]]:
        count = self._markup.num_landmarks
        coordinates = tuple(f"{axis}{k}" for k in range(count) for axis in "xy")
        visibilities = tuple(f"v{k}" for k in range(count))
        known = ("path", *_BOX, *coordinates, *visibilities)
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            try:
                header = list(rows.fieldnames or [])
                for name in header:
                    if name not in known and not name.startswith("attribute."):
                        raise _unknown(name, known, f"{self.path}, line 1")
                has_visible, has_box = "v0" in header, "left" in header
                required = (
                    "path",
                    *coordinates,
                    *(visibilities if has_visible else ()),
                    *(_BOX if has_box else ()),
                )
                missing = [name for name in required if name not in header]
                if missing:
                    raise DataError(
                        f"{self.path}, line 1: no column '{missing[0]}'; "
                        f"markup '{self._markup.name}' has {count} landmarks"
                    )
                for row in rows:
                    where = f"{self.path}, line {rows.line_num}"
                    if None in row or None in row.values():
                        raise DataError(
                            f"{where}: its number of cells differs from the header's; correct the table"
                        )
                    pairs = [
                        None if row[f"x{k}"] == "" and row[f"y{k}"] == "" else (row[f"x{k}"], row[f"y{k}"])
                        for k in range(count)
                    ]
                    visible = [row[name] for name in visibilities] if has_visible else None
                    points_K2, visible_K = self._points(pairs, visible, where)
                    sides = [row[name] for name in _BOX] if has_box else None
                    attributes = {
                        n.removeprefix("attribute."): row[n] for n in header if n.startswith("attribute.")
                    }
                    annotation = Annotation(points_K2, visible_K, self._box(sides, where), attributes)
                    yield row["path"], annotation, where
            except (csv.Error, UnicodeDecodeError) as error:
                raise DataError(f"{self.path}, line {rows.line_num}: not CSV in UTF-8 ({error})") from error

    def _jsonl(self) -> Iterator[tuple[Any, Annotation, str]]:
        with self.path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                where = f"{self.path}, line {number}"
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(f"{where}: not JSON ({error}); correct the table") from error
                if not isinstance(row, dict) or not isinstance(row.get("points"), list):
                    raise DataError(
                        f"{where}: expected an object with 'path' and 'points'; correct the table"
                    )
                for name in row:
                    if name not in _JSON_FIELDS:
                        raise _unknown(name, _JSON_FIELDS, where)
                points_K2, visible_K = self._points(row["points"], row.get("visible"), where)
                annotation = Annotation(
                    points_K2, visible_K, self._box(row.get("box"), where), row.get("attributes") or {}
                )
                yield row.get("path"), annotation, where


READER = FaceTable
