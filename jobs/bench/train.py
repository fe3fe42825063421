"""``landmarks bench train``: the real training path with one worker against a plain PyTorch loop, in turn.

Our side is ``landmarks train`` itself: a Ray Train worker, DeepSpeed engines, the background loader, metrics published to the
driver and logged to MLflow, all into temporary folders. What counts are the steps after the first window of metrics; start-up,
validation and checkpoints do not. The other side is ``jobs.bench.plain`` with the same recipe, threads and environment.
"""

from __future__ import annotations

import io
import json
import math
import tempfile
from pathlib import Path

from rich.console import Console

from jobs.bench.figures import run_python, show, write_csv
from jobs.cluster.fit import worker_environment
from jobs.train import train
from pipeline.errors import ConfigError
from pipeline.registry import check
from pipeline.shards.manifest import load_manifest
from pipeline.storage import is_local
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.config.unlabelled import ObjectiveConfig
from pipeline.training.identity import WHERE
from pipeline.training.short_run import WINDOW, short_run
from pipeline.words import counted


def _timed_steps(steps: int) -> int:
    return math.ceil(steps / WINDOW) * WINDOW


def bench_config(config: ExperimentConfig, steps: int, folder: str, name: str) -> ExperimentConfig:
    """The experiment cut down to a measurement: one worker, no validation, no checkpoint before the end.

    Args:
        config: The experiment.
        steps: Timed steps.
        folder: For everything the run writes.
        name: Of the run.
    """
    return short_run(config, _timed_steps(steps), folder, name, validated=False)


def _ours(config: ExperimentConfig) -> float:
    """Images a second of the real path, from the rates its worker published."""
    # Its bars and lines would drown the one table that this verb is for.
    result = train(config, Console(file=io.StringIO()))
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=config.tracking.uri)
    history = client.get_metric_history(result.mlflow_run, "train/steps_per_second")
    windows = {entry.step: entry.value for entry in history if entry.step > WINDOW}
    seconds = sum(WINDOW / rate for rate in windows.values())
    return (config.training.batch + config.unlabelled_batch) * WINDOW * len(windows) / seconds


def _plain(config: ExperimentConfig, steps: int) -> float:
    settings = {"config": config.model_dump(mode="json"), "steps": _timed_steps(steps), "warmup": WINDOW}
    line, _ = run_python("jobs.bench.plain", [], settings, worker_environment(config))
    return float(json.loads(line)["images_per_second"])


def _plain_knows(objective: ObjectiveConfig) -> bool:
    weight = objective.weight
    papers = {"form": "nonsaturating", "heatmaps": "density", "fake_from": "unlabelled", "r1": 0.0}
    chosen = check("objective", objective) if objective.name == "adversarial" else {}
    return (
        all(chosen.get(name) == value for name, value in papers.items())
        and chosen.get("pair_augmentation") is None
        and weight.fixed is not None
        and not weight.ramp_steps
        and not weight.start_step
    )


def _check(config: ExperimentConfig) -> None:
    objectives = config.unlabelled.active
    if any(not _plain_knows(objective) for objective in objectives) or len(objectives) > 1:
        raise ConfigError(
            f"unlabelled objectives {', '.join(o.name for o in objectives)}: the plain loop knows 'adversarial' as "
            "configs/pieces/adversarial.yaml has it (a fixed weight, density heatmaps, fakes on unlabelled images), or none; set "
            "unlabelled.objective=null"
        )
    if config.augmentation is not None:
        raise ConfigError("augmentation: the plain loop has none; set augmentation=null")
    if config.data.focal_attributes:
        raise ConfigError(
            "data.focal_attributes: the plain loop weighs all faces alike; set data.focal_attributes=[]"
        )
    if config.data.extra or config.init is not None:
        raise ConfigError("data.extra and init: the plain loop has neither; set data.extra=[] and init=null")
    sets = {"train": config.data.train}
    if objectives and config.data.unlabelled is not None:
        if config.data.unlabelled.remainder or len(config.data.unlabelled.corpora) != 1:
            raise ConfigError(
                "data.unlabelled: the plain loop reads one corpus; set data.unlabelled to its folder"
            )
        sets["unlabelled"] = config.data.unlabelled.corpora[0]
    for field, folder in sets.items():
        if not is_local(folder):
            raise ConfigError(f"data.{field} = {folder}: the plain loop reads local tars; copy the set here")
        load_manifest(folder)


def bench(config: ExperimentConfig, *, steps: int, rounds: int, out: str | None) -> None:
    """Measure both sides ``rounds`` times in turn, print the comparison, and write it as CSV.

    Args:
        config: The experiment; with an adversarial objective the semi-supervised step is measured, else the supervised one.
        steps: Timed steps of each measurement, rounded up to whole windows.
        rounds: Measurements of each side.
        out: CSV; None writes none.

    Raises:
        LandmarkError: Unusable config or sets.
    """
    _check(config)
    rows = []
    kind = "semi-supervised" if config.unlabelled_batch else "supervised"
    for turn in range(rounds):
        with tempfile.TemporaryDirectory(prefix="landmarks-bench-") as folder:
            chosen = bench_config(config, steps, str(Path(folder).absolute()), f"bench-{turn}")
            ours, plain = _ours(chosen), _plain(chosen, steps)
        rows.append(
            {
                "round": turn,
                "step": kind,
                "ours_images_per_second": round(ours, 2),
                "plain_images_per_second": round(plain, 2),
                "ratio": round(ours / plain, 4),
                "model": json.dumps(config.model.model_dump()),
                "batch": config.training.batch,
                "unlabelled_batch": config.unlabelled_batch,
                "precision": config.training.precision,
                "zero_stage": config.cluster.zero_stage,
                "threads": config.cluster.cpus_per_worker,
                "timed_steps": _timed_steps(steps),
            }
        )
    pairs = [(float(r["ours_images_per_second"]), float(r["plain_images_per_second"])) for r in rows]  # type: ignore[arg-type]
    threads = counted(config.cluster.cpus_per_worker, "thread")
    show(
        f"{kind} step, batch {config.training.batch} + {config.unlabelled_batch}, {threads}",
        "images/s",
        pairs,
        ("Ray Train + DeepSpeed", "plain loop"),
    )
    write_csv(out, rows, config_hash(config, WHERE), config.seed)
