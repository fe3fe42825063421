"""``landmarks bench start``: what a start costs, in CPU seconds over all processes and in seconds of waiting.

The commands are a user's own: ``landmarks --help``, ``train --dry-run``, and a training of a few steps with all that belongs to
it: a local Ray, workers, DeepSpeed engines, a checkpoint, a validation, an MLflow run.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from jobs.bench.figures import write_csv
from jobs.bench.processes import Usage, measure
from pipeline.shards.manifest import load_manifest
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.identity import WHERE
from pipeline.training.run import with_absolute_paths


def start_config(config: ExperimentConfig, steps: int, folder: str, name: str) -> ExperimentConfig:
    """The experiment cut down to a start: so many steps, one validation and one checkpoint at their end.

    Args:
        config: The experiment.
        steps: Of the training.
        folder: For everything the run writes.
        name: Of the run.
    """
    raw = with_absolute_paths(config).model_dump(mode="json")
    raw["name"] = name
    raw["training"] |= {
        "epochs": None,
        "steps": steps,
        "checkpoint_every": 1e9,
        "validate_every": 1e9,
        "image_every": 1e9,
    }
    raw["cluster"] |= {"storage": f"{folder}/runs"}
    raw["tracking"] |= {"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": f"{folder}/artifacts"}
    return ExperimentConfig.model_validate(raw)


def bench(config: ExperimentConfig, *, steps: int, rounds: int, out: str | None) -> None:
    """Run each command ``rounds`` times in turn, print what they took, and write it as CSV.

    Args:
        config: The experiment.
        steps: Of the training.
        rounds: Measurements of each command.
        out: CSV; None writes none.

    Raises:
        LandmarkError: Unusable config or sets, or a command that failed.
    """
    load_manifest(config.data.train)  # before minutes of measuring
    rows: list[dict[str, object]] = []
    for turn in range(rounds):
        with tempfile.TemporaryDirectory(prefix="landmarks-bench-") as folder:
            chosen = start_config(config, steps, str(Path(folder).absolute()), f"start-{turn}")
            path = Path(folder, "config.yaml")
            path.write_text(yaml.safe_dump(chosen.model_dump(mode="json")), encoding="utf-8")
            for name, arguments in {
                "help": ["--help"],
                "dry run": ["train", str(path), "--dry-run"],
                f"training, {steps} steps": ["train", str(path)],
            }.items():
                usage = measure([sys.executable, "-m", "jobs.cli", *arguments])
                rows.append(_row(turn, name, usage, config))
    _show(rows)
    write_csv(out, rows, config_hash(config, WHERE), config.seed)


def _row(turn: int, command: str, usage: Usage, config: ExperimentConfig) -> dict[str, object]:
    return {
        "round": turn,
        "command": command,
        "cpu_seconds": round(usage.cpu_s, 2),
        "wall_seconds": round(usage.wall_s, 2),
        "processes": json.dumps({kind: round(seconds, 2) for kind, seconds in usage.processes.items()}),
        "model": json.dumps(config.model.model_dump()),
        "workers": config.cluster.workers,
    }


def _show(rows: list[dict[str, object]]) -> None:
    table = Table(title="what a start costs", title_justify="left")
    for name in ("round", "command", "CPU s", "wall s", "CPU s by process"):
        table.add_column(name, justify="left" if name in {"command", "CPU s by process"} else "right")
    for row in rows:
        processes: dict[str, float] = json.loads(str(row["processes"]))
        shares = ", ".join(f"{kind} {seconds:.1f}" for kind, seconds in processes.items() if seconds >= 0.1)
        table.add_row(
            str(row["round"]), str(row["command"]), str(row["cpu_seconds"]), str(row["wall_seconds"]), shares
        )
    Console().print(table)
