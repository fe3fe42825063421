"""A table of faces (see ``pipeline.datasets.table``), recognised by its columns."""

from __future__ import annotations

import csv
from itertools import count as numbers
from pathlib import Path
from typing import Any

from pipeline.datasets._checks import lines, parse_json
from pipeline.datasets.sniff.found import Found
from pipeline.errors import DataError


def recognise(path: Path) -> Found:
    """What a CSV or a file of JSON lines is as a table of faces.

    Raises:
        DataError: It has other columns, or cannot be read.
    """
    images, landmarks, codes = _csv(path) if path.suffix.lower() == ".csv" else _jsonl(path)
    found = Found(
        title=f"a table ({path.suffix.lower()})",
        reader="table",
        num_landmarks=landmarks,
        path=path,
        images=tuple(images),
    )
    if "2" in codes and codes - {"2"}:
        found.keys["one_means"] = "occluded"
        found = found.remarking("visibilities go up to 2: 1 is taken for occluded, as in COCO ('one_means')")
    return found


def _csv(path: Path) -> tuple[list[str], int, set[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            header = list(rows.fieldnames or [])
            landmarks = next(k for k in numbers() if not {f"x{k}", f"y{k}"} <= set(header))
            if "path" not in header or landmarks == 0:
                shown = ", ".join(header[:8]) + (", …" if len(header) > 8 else "")
                raise DataError(
                    f"{path}: its columns are {shown or 'none'}: a table of faces has path, x0, y0, x1, y1, … "
                    "(landmarks help reader table)"
                )
            content = list(rows)
    except (csv.Error, ValueError, OSError) as error:
        raise DataError(f"{path}: not CSV in UTF-8 ({error})") from error
    visible = [name for name in header if name[:1] == "v" and name[1:].isdecimal()]
    images = [str(row["path"]) for row in content]
    return images, landmarks, {str(row[name]).strip() for row in content for name in visible}


def _jsonl(path: Path) -> tuple[list[str], int, set[str]]:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines(path), start=1):
        row = parse_json(line, f"{path}, line {number}", "correct the table") if line.strip() else None
        if isinstance(row, dict) and isinstance(row.get("points"), list) and "path" in row:
            rows.append(row)
    if not rows:
        raise DataError(f"{path}: no line is an object with 'path' and 'points', as a table of faces has it")
    codes = {str(v) for row in rows if isinstance(row.get("visible"), list) for v in row["visible"]}
    return [str(row["path"]) for row in rows], len(rows[0]["points"]), codes
