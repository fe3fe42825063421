"""A study on disk: numbers in full precision, nothing rounded, nothing half written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.plain import flatten
from pipeline.storage import write_text
from pipeline.studies.scaling.analysis import Analysis, as_json
from pipeline.studies.scaling.table import markdown
from pipeline.studies.scaling.tables import tables

CELLS, GAINS, FACES, STUDY, TABLES = "cells.csv", "gains.csv", "faces.csv", "study.json", "tables.md"


def write_study(analysis: Analysis, folder: str) -> dict[str, str]:
    """Write what was measured and what was concluded, each file atomically.

    ``cells.csv`` has a row per training, ``gains.csv`` one per comparison, ``faces.csv`` a row per face and a column per
    training (NME ratios); ``study.json`` is everything with its provenance, ``tables.md`` the answer and the tables.

    Args:
        analysis: What to write.
        folder: Local path or URL.

    Returns:
        File name → where it lies.

    Raises:
        StorageError: A file cannot be written; those before it are whole.
    """
    document = as_json(analysis)
    study = analysis.study
    runs = study.results
    faces = ([key, *(float(r.nme_N[i]) for r in runs)] for i, key in enumerate(runs[0].keys))
    contents = {
        CELLS: _records(document["study"]["cells"]),
        GAINS: _records([_flat(c) for c in document["comparisons"]]),
        FACES: _csv(["face", *(r.run for r in runs)], faces),
        STUDY: json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        TABLES: "\n".join([analysis.answer.text, "", *(markdown(table) for table in tables(analysis))]),
    }
    written = {name: f"{folder.rstrip('/')}/{name}" for name in contents}
    for name, content in contents.items():
        write_text(written[name], content)
    return written


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Nested objects by dotted names; lists of numbers in one field."""
    return {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in flatten(record).items()}


def _records(records: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for record in records for name in record))
    return _csv(names, ([record.get(name) for name in names] for record in records))


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return buffer.getvalue()
