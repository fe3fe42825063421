"""One table of all methods: evaluation JSONs of ``landmarks evaluate`` → methods.csv beside this file.

    [COMMIT=…] python results/w300/methods/table.py EVALUATION.json …

``COMMIT`` is that of runs from an exported tree (``git archive``), which does not know it. Rows of runs that are not named stay.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path
from typing import Any

from pipeline.evaluation.headline import ALL_COLUMNS, values
from pipeline.evaluation.protocol import Evaluation

HERE = Path(__file__).resolve().parent


def row(path: str) -> dict[str, Any]:
    raw = json.loads(Path(path).read_text(encoding="utf-8"))
    evaluation = Evaluation.model_validate(raw)
    figures = values(evaluation)
    name = Path(path).stem
    method, seed = name.removeprefix("w300-").rsplit("-s", 1)
    rounded = {
        c.key: None if figures.get(c.key) is None else round(float(figures[c.key]), 4) for c in ALL_COLUMNS
    }
    origin = {
        key: " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value
        for key, value in sorted(raw["provenance"].items())
        if "/" not in str(value)
    }
    origin["commit"] = origin.get("commit") or os.environ.get("COMMIT")
    return {"run": name, "method": method, "seed": seed} | rounded | origin


def main() -> None:
    path = HERE / "methods.csv"
    kept = list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() else []
    named = {one["run"]: one for one in map(row, sys.argv[1:])}
    rows = sorted(
        [one for one in kept if one["run"] not in named] + [*named.values()], key=lambda one: one["run"]
    )
    fields = list(dict.fromkeys(key for one in rows for key in one))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
