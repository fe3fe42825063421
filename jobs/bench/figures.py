"""The common part of the benchmarks: running the plain side, showing the numbers, keeping them with their provenance."""

from __future__ import annotations

import csv
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.errors import TrainingError
from pipeline.evaluation.provenance import collect
from pipeline.storage import absolute, write_text

_REPOSITORY = Path(__file__).resolve().parents[2]


def run_python(
    module: str, arguments: Sequence[str], settings: Mapping[str, Any] | None, environment: Mapping[str, str]
) -> tuple[str, float]:
    """Run a module of this project in a process of its own.

    Args:
        module: Dotted name.
        arguments: Of its command line.
        settings: Written to its standard input as JSON.
        environment: Added to this process's.

    Returns:
        The last line it printed, and its seconds from start to exit.

    Raises:
        TrainingError: It failed; the message holds the end of what it said.
    """
    paths = [str(_REPOSITORY), os.environ.get("PYTHONPATH", "")]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        input=json.dumps(settings),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise TrainingError(
            f"benchmark: {module} ended with status {done.returncode}: {done.stderr.strip()[-1000:]}"
        )
    return (done.stdout.strip().splitlines() or [""])[-1], seconds


def show(title: str, unit: str, pairs: Sequence[tuple[float, float]], labels: tuple[str, str]) -> None:
    """Print a table: each side's spread, and the ratios pair by pair.

    Args:
        title: Over the table.
        unit: Of the figures, e.g. ``images/s``.
        pairs: (first side, second side) of each round.
        labels: Names of the two sides.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("side")
    for name in ("min", "median", "max"):
        table.add_column(name, justify="right")
    sides = list(zip(*pairs, strict=True))
    for label, values in zip(labels, sides, strict=True):
        spread = (min(values), statistics.median(values), max(values))
        table.add_row(f"{label}, {unit}", *(f"{value:.1f}" for value in spread))
    ratios = [first / second for first, second in pairs]
    spread = (min(ratios), statistics.median(ratios), max(ratios))
    table.add_row("ratio", *(f"{value:.3f}" for value in spread))
    console = Console()
    console.print(table)
    console.print(
        "ratios, pair by pair: " + ", ".join(f"{ratio:.3f}" for ratio in ratios),
        highlight=False,
        soft_wrap=True,
    )


def write_csv(
    out: str | None, rows: Sequence[Mapping[str, Any]], config_hash: str | None, seed: int | None
) -> None:
    """Write the rows, each with the hardware, versions and commit they were measured on.

    Args:
        out: Path or URL; None writes nothing.
        rows: With equal columns.
        config_hash: Of what was measured.
        seed: Likewise.
    """
    if out is None:
        return
    found = collect(config_hash, seed)
    hardware, versions = found.pop("hardware"), found.pop("versions")
    provenance = {
        **found,
        "cpu": hardware["cpu"],
        "cores": hardware["cores"],
        "gpus": "; ".join(hardware["gpus"]),
        **versions,
    }
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*rows[0], *provenance], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, **provenance})
    write_text(absolute(out), buffer.getvalue())
