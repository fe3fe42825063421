"""``landmarks train``: Ray Train workers, DeepSpeed engines, one MLflow run. The same command again resumes."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from rich.console import Console

from pipeline.config.compose import config_hash, differences, to_yaml, validate
from pipeline.errors import ConfigError, LandmarkError, StorageError, TrainingError
from pipeline.shards.manifest import join
from pipeline.storage import absolute, require_free_space, write_text
from pipeline.training.config import ExperimentConfig
from pipeline.training.plan import Plan, build_generator, count_parameters, make_plan
from pipeline.training.tracking import Tracker, check_store, flatten

# Sections that do not change what a run computes: where it runs and reports, how its sets were made (their manifests say
# so themselves) and how it is measured afterwards. Changing them keeps it the same run.
WHERE = frozenset({"cluster", "tracking", "prepare", "evaluation"})
_MAX_CHECKPOINT_BYTES_PER_PARAMETER = 20


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run hands on.

    Attributes:
        run_folder: Holds config.yaml, models/best, models/last, finished.json.
        model: Folder of the selected model.
        best: Best validation NME, %, or None without a validation set.
        best_step: When.
        steps: Steps done.
        seconds: Training time, over all restarts.
        mlflow_run: Run id.
    """

    run_folder: str
    model: str
    best: float | None
    best_step: int | None
    steps: int
    seconds: float
    mlflow_run: str


def with_absolute_paths(config: ExperimentConfig) -> ExperimentConfig:
    """Workers change directory, so every path is made absolute in the driver."""
    raw = config.model_dump(mode="json")
    for key in ("train", "validation", "unlabelled", "test"):
        if raw["data"][key]:
            raw["data"][key] = absolute(raw["data"][key])
    raw["cluster"]["storage"] = absolute(raw["cluster"]["storage"])
    return ExperimentConfig.model_validate(raw)


def run_folder_of(config: ExperimentConfig) -> str:
    """Folder of a run: storage/name."""
    return join(absolute(config.cluster.storage), config.name)


def _read(url: str) -> str | None:
    try:
        with fsspec.open(url, "rt", encoding="utf-8") as file:
            return str(file.read())
    except FileNotFoundError:
        return None


def _claim(config: ExperimentConfig, run_folder: str) -> None:
    """Record the run's config, or check that it is the recorded one."""
    import yaml

    url = join(run_folder, "config.yaml")
    known = _read(url)
    if known is None:
        write_text(url, to_yaml(config))
        return
    old = validate(yaml.safe_load(known), ExperimentConfig, url)
    if config_hash(old, WHERE) != config_hash(config, WHERE):
        changed = [d for d in differences(old, config) if d.split(".")[0].split(":")[0] not in WHERE]
        raise ConfigError(
            f"run '{config.name}' exists in {run_folder} with another config ({'; '.join(changed[:5])}): a resumed run keeps its "
            "config; choose another name=…, or remove the folder to start afresh"
        )


def train(config: ExperimentConfig, console: Console | None = None) -> TrainingResult:
    """Train, or resume, the run a config names.

    Raises:
        LandmarkError: Anything a user can act on: bad config or sets, no tracking server, non-finite loss, full disk.
    """
    console = console or Console()
    config = with_absolute_paths(config)
    plan = make_plan(config)
    run_folder = run_folder_of(config)
    parameters = count_parameters(build_generator(config, plan.train.num_landmarks))
    require_free_space(
        run_folder, parameters * _MAX_CHECKPOINT_BYTES_PER_PARAMETER * 4 + 2**26, "checkpoints of this run"
    )
    check_store(config.tracking)
    _claim(config, run_folder)
    digest = config_hash(config, WHERE)
    finished = _read(join(run_folder, "finished.json"))
    tracker = Tracker(
        config.tracking,
        config.name,
        run_folder,
        flatten(config.model_dump(mode="json")) | {"plan.steps": plan.steps, "plan.parameters": parameters},
        {"landmarks.config_hash": digest, "landmarks.verb": "train"},
    )
    if finished is not None:
        console.print(f"run '{config.name}' is finished already: {run_folder}")
        tracker.end("FINISHED")
        return _result(config, run_folder, json.loads(finished), tracker.run_id)
    try:
        _fit(config, plan, run_folder, digest, tracker, console)
    except KeyboardInterrupt:
        tracker.end("KILLED")
        raise
    except BaseException:
        tracker.end("FAILED")
        raise
    state = _read(join(run_folder, "finished.json"))
    if state is None:
        tracker.end("FAILED")
        raise TrainingError(
            f"{run_folder}: the workers ended without finishing the run; run the same command again to resume"
        )
    tracker.text(to_yaml(config), "config.yaml")
    tracker.file(join(run_folder, "models"), "models")
    tracker.end("FINISHED")
    return _result(config, run_folder, json.loads(state), tracker.run_id)


def _result(
    config: ExperimentConfig, run_folder: str, state: dict[str, Any], mlflow_run: str
) -> TrainingResult:
    return TrainingResult(
        run_folder=run_folder,
        model=join(run_folder, f"models/{config.training.select}"),
        best=state["best"],
        best_step=state["best_step"],
        steps=state["step"],
        seconds=state["seconds"],
        mlflow_run=mlflow_run,
    )


def worker_environment(config: ExperimentConfig) -> dict[str, str]:
    """Environment of a training worker."""
    threads = str(config.cluster.cpus_per_worker)
    # A step allocates the same large tensors again and again; by default glibc maps and unmaps each one, and a narrow network
    # on the CPU spends 5 to 25 % of its time on the page faults.
    keep = str(2**32)
    # The accelerator is named, not probed: DeepSpeed would warn, and probe wrongly on a CPU node of a GPU cluster.
    return {
        "DS_ACCELERATOR": "cuda" if config.cluster.gpu else "cpu",
        "OMP_NUM_THREADS": threads,
        "MALLOC_MMAP_THRESHOLD_": keep,
        "MALLOC_TRIM_THRESHOLD_": keep,
        # Ray Train runs the loop in a thread of its own; only glibc's main arena keeps blocks this large.
        "MALLOC_ARENA_MAX": "1",
        # Where the driver finds parts of the user's own, workers find them, too.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")])),
    }


def _fit(
    config: ExperimentConfig, plan: Plan, run_folder: str, digest: str, tracker: Tracker, console: Console
) -> None:
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ["RAY_TRAIN_COLLECTIVE_TIMEOUT_S"] = str(config.cluster.collective_timeout_s)
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "600")
    from jobs.board import Board, Monitor
    from jobs.cluster import ray_session

    with ray_session(cpus=_cpus(config)):
        import ray
        from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        from pipeline.training.worker import train_worker

        board = ray.remote(num_cpus=0)(Board).remote()
        resources: dict[str, float] = {"CPU": config.cluster.cpus_per_worker}
        if config.cluster.gpu:
            resources["GPU"] = 1
        trainer = TorchTrainer(
            train_worker,
            train_loop_config={
                "config": config.model_dump(mode="json"),
                "config_hash": digest,
                "run_folder": run_folder,
                "board": board,
            },
            scaling_config=ScalingConfig(
                num_workers=config.cluster.workers, use_gpu=config.cluster.gpu, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=config.name,
                storage_path=config.cluster.storage,
                failure_config=FailureConfig(max_failures=config.cluster.max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=config.cluster.keep_checkpoints),
                worker_runtime_env={"env_vars": worker_environment(config)},
            ),
        )
        with Monitor(board, tracker, config.name, console) as monitor:
            try:
                trainer.fit()
            except Exception as error:
                raise _cause(error) from error
        if monitor.problem is not None:
            console.print(f"[yellow]some metrics of '{config.name}' were not logged: {monitor.problem}")


def _cpus(config: ExperimentConfig) -> int:
    """CPUs a local Ray needs: the workers' own, or all there are."""
    return max(config.cluster.workers * config.cluster.cpus_per_worker, os.cpu_count() or 1)


def _cause(error: Exception) -> Exception:
    """The project's own error behind Ray's wrapping, if there is one."""
    seen: list[BaseException] = [error]
    while seen:
        current = seen.pop()
        if isinstance(current, LandmarkError):
            return current
        if isinstance(current, OSError) and current.errno in {errno.ENOSPC, errno.EDQUOT}:
            return StorageError(
                f"the disk is full ({current}); free space and run the same command again to resume"
            )
        seen.extend(getattr(current, "worker_failures", {}).values())
        seen.extend(
            e for e in (getattr(current, "cause", None), current.__cause__) if isinstance(e, BaseException)
        )
    return TrainingError(
        f"the workers failed: {error}. Run the same command again to resume from the last checkpoint"
    )
