"""ADNet on 300-W in two units of its loss on landmarks: the authors' published ones, and pixels.

    python results/adl/units.py STORAGE OVERRIDE… > results/adl/units.csv

``side`` is the authors' code: coordinates in halves of the side, the loss's knee at 0.01 of them, stacks weighing ⅛ … 1 (here
½, 1). ``px`` is eq. 4 read as pixels: knee at 1 px, stacks alike; beside such a loss the maps' (α = β = 10) weigh side / 2 times
less. Each unit gets its own learning rate, the best of RATES for seed 0; then three seeds. Small: 64 px, two stacks of width 32,
1,500 steps. Errors are on the held-out faces; the test set is not read. Each run is a `landmarks train`, resumed where it was
stopped; the overrides name the sets.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

from pipeline.evaluation.provenance import collect

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "adnet_300w.yaml"
SIDE = 64
STEPS = 1500
RATES = (0.0005, 0.0015, 0.005)
SEEDS = (0, 1, 2)
UNITS = {
    "side": {"method.unit": "side", "method.stages": "doubling", "loss.knee": 0.01 * SIDE / 2},
    "px": {"method.unit": "px", "method.stages": "[1.0,1.0]", "loss.knee": 1.0},
}
SMALL = {
    "input_size": SIDE,
    "model.stacks": 2,
    "model.width": 32,
    "model.levels": 3,
    "training.epochs": "null",
    "training.steps": STEPS,
    "training.batch": 16,
    "training.validate_every": 1,
    "training.checkpoint_every": 10,
    "training.image_every": 1000,
}


def trained(
    storage: Path, unit: str, rate: float, seed: int, overrides: tuple[str, ...]
) -> dict[str, object]:
    """A run, trained if it is not yet, as a row of the table."""
    name = f"adnet-{unit}-lr{rate * 1e4:g}e-4-s{seed}"
    own = {"name": name, "seed": seed, "optimizer.lr": rate, "cluster.storage": storage}
    given = SMALL | UNITS[unit] | own
    command = [sys.executable, "-m", "jobs.cli", "train", str(CONFIG), *overrides]
    subprocess.run([*command, *(f"{k}={v}" for k, v in given.items())], check=True, stdout=sys.stderr)
    end = json.loads((storage / name / "finished.json").read_text(encoding="utf-8"))
    source = collect(None, None)
    return {
        "unit": unit,
        "lr": rate,
        "seed": seed,
        "steps": STEPS,
        "nme": round(end["best"], 3),
        "best_step": end["best_step"],
        "seconds": round(end["seconds"]),
        "protocol": "300w/validation · ocular · detector box · no flip",
        "config_hash": end["config_hash"],
        "commit": source["commit"],
        "dirty": source["dirty"],
    }


def main(storage: str, *overrides: str) -> None:
    """Train what is missing, and print the table."""
    folder = Path(storage).resolve()
    rows: dict[tuple[str, float, int], dict[str, object]] = {}
    for rate in RATES:
        for unit in UNITS:
            rows[unit, rate, 0] = trained(folder, unit, rate, 0, overrides)
    best = {unit: min(RATES, key=lambda rate: float(str(rows[unit, rate, 0]["nme"]))) for unit in UNITS}
    for seed in SEEDS[1:]:
        for unit, rate in best.items():
            rows[unit, rate, seed] = trained(folder, unit, rate, seed, overrides)
    writer = csv.DictWriter(sys.stdout, list(rows["px", RATES[0], 0]))
    writer.writeheader()
    writer.writerows(rows[key] for key in sorted(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
