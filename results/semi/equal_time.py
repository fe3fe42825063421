"""Supervised runs that may take as long as the runs with unlabelled faces took: does the time explain the gain?

    python results/semi/equal_time.py STUDY TIMES OVERRIDE… > results/semi/equal_time.csv

STUDY is the folder of a finished `landmarks scale configs/scale_semi_300w.yaml`; TIMES is how many times its steps a supervised
run gets, at least the ratio of times in its table; the overrides name the sets, as they did there. Each run is a `landmarks
train` of its own, resumed where it was stopped. Errors are on the held-out faces, which also choose the checkpoint, on both
sides: the test set is not read.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import yaml

from pipeline.evaluation.provenance import collect

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "semi_300w.yaml"


def main(study: str, times: str, *overrides: str) -> None:
    """Train what is missing, and print the table."""
    found = json.loads(Path(study, "study.json").read_text(encoding="utf-8"))["study"]
    cells = {(c["labelled"], c["unlabelled"], c["seed"]): c for c in found["cells"]}
    storage = Path(study, "longer")
    source = collect(None, None)
    writer = None
    for labelled, seed in sorted({(n, s) for n, many, s in cells if many}):
        (semi,) = (c for (n, many, s), c in cells.items() if many and (n, s) == (labelled, seed))
        short = cells[labelled, 0, seed]
        steps = round(float(times) * short["steps"])
        name = f"supervised-l{labelled}-s{seed}-n{steps}"
        own = {
            "name": name,
            "seed": seed,
            "data.subset_seed": seed,
            "data.labelled_count": labelled,
            "unlabelled.objectives": "[]",
            "training.steps": steps,
            "cluster.storage": storage,
        }
        command = [sys.executable, "-m", "jobs.cli", "train", str(CONFIG)]
        command += [*overrides, *(f"{key}={value}" for key, value in own.items())]
        subprocess.run(command, check=True, stdout=sys.stderr)
        end = json.loads(Path(storage, name, "finished.json").read_text(encoding="utf-8"))
        assert yaml.safe_load(Path(storage, name, "config.yaml").read_text())["training"]["steps"] == steps
        row = {
            "labelled": labelled,
            "seed": seed,
            "supervised_steps": steps,
            "supervised_seconds": round(end["seconds"]),
            "supervised_nme": round(end["best"], 3),
            "supervised_best_step": end["best_step"],
            "equal_steps_nme": round(short["validation_nme_percent"], 3),
            "semi_steps": semi["steps"],
            "semi_seconds": round(semi["seconds"]),
            "semi_nme": round(semi["validation_nme_percent"], 3),
            "less_percent": round(100 * (1 - semi["validation_nme_percent"] / end["best"]), 1),
            "protocol": "300w/validation · ocular · detector box · no flip",
            "supervised_config_hash": end["config_hash"],
            "semi_config_hash": semi["config_hash"],
            "commit": source["commit"],
            "dirty": source["dirty"],
        }
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(row))
            writer.writeheader()
        writer.writerow(row)
        sys.stdout.flush()  # whoever stops here keeps the rows that there are


if __name__ == "__main__":
    main(*sys.argv[1:])
