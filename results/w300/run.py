"""The main comparison on 300-W: softargmax, LaplaceKL, LaplaceKL + D, over widths and seeds, through the real command line.

    python results/w300/run.py --sets PREPARED --work outputs/w300-results --group c8 [--gpu] [--parallel 4]

PREPARED holds the folders train, validation, test and unlabelled that ``landmarks prepare configs/laplace_300w.yaml`` makes.
Every run is resumable: the same command again goes on where it was stopped and computes only what is missing. Writes
``NAME.json`` per run and one CSV per group, with protocol, seed, config hash, commit, versions and hardware.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cell:
    """One run of the matrix."""

    method: str
    width: int
    dropout: float
    epochs: int
    seed: int
    discriminator: int = 64
    gain: float = 1.0
    labelled: int | None = None

    @property
    def name(self) -> str:
        """Run name."""
        few = f"-n{self.labelled}" if self.labelled else ""
        gain = f"-g{self.gain:g}" if self.gain != 1 else ""
        discriminator = f"{self.discriminator}" if self.method.endswith("+D") else ""
        method = self.method.replace("+", "-")
        text = (
            f"{method}{discriminator}-c{self.width}-p{self.dropout:g}-e{self.epochs}{gain}{few}-s{self.seed}"
        )
        return text.replace(".", "_")

    def overrides(self) -> list[str]:
        """Dotted overrides of configs/laplace_300w.yaml."""
        found = [
            f"name={self.name}",
            f"seed={self.seed}",
            f"model.width={self.width}",
            f"model.dropout={self.dropout}",
            f"training.epochs={self.epochs}",
            "training.image_every=50",
            "training.checkpoint_every=5",
            f"loss.name={'softargmax_l2' if self.method.startswith('softargmax') else 'laplace_kl'}",
        ]
        if self.labelled:
            found.append(f"data.labelled_count={self.labelled}")
        if self.method.endswith("+D"):
            found += [
                f"unlabelled.objective.discriminator.width={self.discriminator}",
                f"unlabelled.objective.gain={self.gain}",
            ]
        else:
            found.append("unlabelled.objective=null")
        return found


METHODS = ("softargmax", "laplace", "laplace+D")
GROUPS: dict[str, list[Cell]] = {
    "smoke": [Cell(m, 4, 0.0, 1, 0, discriminator=8) for m in ("laplace", "laplace+D")],
    # Two CPU cores, about an hour: an eighth of the paper's width, a tenth of its epochs. Dropout 0, for all alike: the
    # paper's 0.2 starves so narrow a network. The discriminator is narrowed with the generator.
    "c8": [Cell(m, 8, 0.0, 20, 0, discriminator=16) for m in ("laplace+D", "laplace", "softargmax")],
    # For a GPU: three seeds at 40 epochs, and the paper's own width and length.
    "c8-seeds": [Cell(m, 8, 0.0, 40, seed, discriminator=16) for seed in range(3) for m in METHODS],
    "c64": [Cell(m, 64, 0.2, 200, 0) for m in METHODS],
}


def landmarks(arguments: list[str], log: Path) -> None:
    """Run the command line; its output goes to a log."""
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli", *arguments], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {done.returncode}; see {log}")


def run(cell: Cell, sets: Path, work: Path, gpu: bool) -> dict[str, object]:
    """Train and evaluate one cell; what is done already is not done again."""
    logs = work / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{cell.name}.log"
    shared = [
        *(f"data.{s}={sets / s}" for s in ("train", "validation", "test", "unlabelled")),
        f"cluster.storage={work / 'runs'}",
        f"cluster.gpu={'true' if gpu else 'false'}",
        f"tracking.uri=sqlite:///{work / (cell.name + '.db')}",
        f"tracking.artifacts={work / 'artifacts'}",
    ]
    landmarks(["train", "configs/laplace_300w.yaml", *cell.overrides(), *shared], log)
    result = work / "evaluation" / cell.name / f"{cell.name}.json"
    if not result.exists():
        landmarks(["evaluate", str(work / "runs" / cell.name), "--out", str(result.parent)], log)
    return row(cell, work, json.loads(result.read_text(encoding="utf-8")))


def row(cell: Cell, work: Path, evaluation: dict) -> dict[str, object]:
    """One line of the CSV."""
    state = json.loads((work / "runs" / cell.name / "finished.json").read_text(encoding="utf-8"))
    errors, source = evaluation["errors"], evaluation["provenance"]
    main = errors["ocular"]
    return {
        "run": cell.name,
        "method": cell.method,
        "width": cell.width,
        "dropout": cell.dropout,
        "epochs": cell.epochs,
        "steps": state["step"],
        "labelled": cell.labelled or 1808,
        "seed": cell.seed,
        **{f"nme_{n}": round(e["nme"], 4) for n, e in errors.items()},
        **{f"fr{t}": round(main["failure_rate"][str(t)], 3) for t in (8, 10)},
        **{f"auc{t}": round(main["auc"][str(t)], 3) for t in (8, 10)},
        "scatter_px": round(evaluation["scatter"]["grid_px"], 4),
        "validation_nme": round(state["best"], 4),
        "selected_step": source["step"],
        "training_seconds": round(state["seconds"], 1),
        "protocol": evaluation["protocol_name"],
        "faces": evaluation["faces"],
        "config_hash": source["config_hash"],
        "commit": source["commit"],
        "versions": " ".join(f"{k}={v}" for k, v in source["versions"].items()),
        "hardware": source["hardware"]["cpu"]
        + (" + " + ", ".join(source["hardware"]["gpus"]) if source["hardware"]["gpus"] else ""),
    }


def main() -> None:
    """Run a group, several cells at a time, and write its CSV."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--group", choices=sorted(GROUPS), required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--parallel", type=int, default=1)
    options = parser.parse_args()
    sets, work = options.sets.absolute(), options.work.absolute()
    began, rows = time.monotonic(), []
    with ThreadPoolExecutor(options.parallel) as pool:
        for future in [pool.submit(run, cell, sets, work, options.gpu) for cell in GROUPS[options.group]]:
            try:
                rows.append(future.result())
            except RuntimeError as error:
                print(error, flush=True)
                continue
            print(
                f"{time.monotonic() - began:6.0f} s",
                {k: rows[-1][k] for k in ("run", "nme_ocular", "scatter_px", "training_seconds")},
                flush=True,
            )
    if rows:
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / f"{options.group}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
