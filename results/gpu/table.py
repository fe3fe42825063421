"""The table of a folder that run.sh has filled: rates, ratios, and the share of the GPU's arithmetic that a training uses.

    python results/gpu/table.py FOLDER

MFU is 6 · MACs of the generator (forward 2, backward twice that; convolutions and matrix products) · images a second, over the
GPU's dense peak for the precision. A float32 convolution runs in TF32, as torch has it.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import torch

from pipeline.markup import load_markup
from pipeline.methods.build import make_generator
from pipeline.models.cost import cost
from pipeline.registry import Part
from pipeline.storage import write_text
from pipeline.training.compiler import leave_compiler_out

# Dense TFLOP/s of NVIDIA's data sheets (SXM; half of the figure with sparsity): bfloat16, TF32.
PEAKS = {"H100": (989.4, 494.7), "H200": (989.4, 494.7), "A100": (312.0, 156.0)}
SIZE = 80


def tflops(row: dict[str, str]) -> float:
    """What a row's training computes a second."""
    leave_compiler_out()
    with torch.device("meta"):
        network = make_generator(Part.model_validate(json.loads(row["model"])), load_markup("ibug68"), SIZE)
        macs = cost(network, SIZE).macs
    return 6 * macs * float(row["ours_images_per_second"]) / 1e12


def peak(row: dict[str, str]) -> float | None:
    """Of the row's GPU, TFLOP/s; None of one that is not listed."""
    known = (both for name, both in PEAKS.items() if name in row["gpus"])
    both = next(known, None)
    return None if both is None else both[row["precision"] == "fp32"]


def main(folder: str) -> None:
    """Write FOLDER/table.md."""
    lines = [
        "| training | images/s | plain eager loop | ratio | TFLOP/s | MFU |",
        "|---|---|---|---|---|---|",
    ]
    files = sorted(Path(folder).glob("bench-*.csv"))
    rows = {}
    for file in files:
        with file.open(encoding="utf-8", newline="") as opened:
            (rows[file.stem],) = csv.DictReader(opened)
    for name, row in rows.items():
        done, most = tflops(row), peak(row)
        share = "" if most is None else f"{done / most:.1%}"
        ours, plain = row["ours_images_per_second"], row["plain_images_per_second"]
        lines.append(
            f"| {name.removeprefix('bench-')} | {ours} | {plain} | {row['ratio']} | {done:.2f} | {share} |"
        )
    lines += ["", "| detector on | images/s | found |", "|---|---|---|"]
    with (Path(folder) / "detect.csv").open(encoding="utf-8", newline="") as opened:
        lines += [
            f"| {r['device']} | {r['images_per_second']} | {r['found']} |" for r in csv.DictReader(opened)
        ]
    lines += ["", "| stage | s |", "|---|---|"]
    lines += [f"| {done.stem} | {done.read_text().strip()} |" for done in sorted(Path(folder).glob("*.done"))]
    on = next(iter(rows.values()))
    lines += [
        "",
        f"{on['gpus'] or 'no GPU'}; {on['cpu']}, {on['cores']} cores; torch {on['torch']}; commit {on['commit'][:12]}",
    ]
    write_text(str(Path(folder) / "table.md"), "\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
