"""Trained models on images made harder, one row each: the folder that ``landmarks evaluate`` wrote → models.csv beside this file.

landmarks evaluate RUN… --perturb occlusion-medium --perturb occlusion-large --perturb blur-medium --perturb blur-large --out OUT
python results/robustness/table.py OUT
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from pipeline.evaluation.headline import values
from pipeline.evaluation.protocol import load

HERE = Path(__file__).resolve().parent
COLUMNS = ("ocular", "fr10", "auc10", "r_face", "cover90")


def row(path: Path) -> dict[str, Any]:
    """What a model's evaluation says, and where it comes from."""
    evaluation = load(str(path))
    metrics, origin = values(evaluation), evaluation.provenance
    shown = {key: None if metrics[key] is None else round(float(metrics[key]), 3) for key in COLUMNS}
    where = {key: origin[key] for key in ("seed", "config_hash", "commit", "dirty")}
    return (
        {"run": evaluation.run, "protocol": evaluation.protocol_name, "faces": evaluation.faces}
        | shown
        | where
    )


def main() -> None:
    rows = [row(path) for path in sorted(Path(sys.argv[1]).glob("*.json"))]
    with (HERE / "models.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
