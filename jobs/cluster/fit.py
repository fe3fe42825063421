"""One training run on Ray Train: what happens between a driver that tracks and workers that train.

``landmarks train`` calls it in its own process, a search's trial and a study's cell in a Ray process of theirs.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from pipeline.errors import LandmarkError, StorageError, TrainingError
from pipeline.training.config.experiment import ExperimentConfig


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
        # Threads that wait for each other soon sleep, instead of spinning for a millisecond. With half a core of two taken by
        # others, 150 steps of a small network on two threads took 343 s with libgomp's own count and 35 s with 1,000; 3,000 costs
        # less on idle cores, where 60 steps take 4.0 s instead of 3.7 s.
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "3000"),
        "MALLOC_MMAP_THRESHOLD_": keep,
        "MALLOC_TRIM_THRESHOLD_": keep,
        # Ray Train runs the loop in a thread of its own; only glibc's main arena keeps blocks this large.
        "MALLOC_ARENA_MAX": "1",
        # Where the driver finds parts of the user's own, workers find them, too.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")])),
    }


def set_ray_train_defaults(config: ExperimentConfig) -> None:
    """Ray Train reads these in the process that calls ``fit``."""
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ["RAY_TRAIN_COLLECTIVE_TIMEOUT_S"] = str(config.cluster.collective_timeout_s)
    # An elastic run does not wait for nodes it believed in: it starts again with those there are.
    wait = "600" if config.cluster.min_workers is None else "60"
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", wait)


def fit(config: ExperimentConfig, config_hash: str, run_folder: str, board: Any) -> None:
    """Train, or resume, a run whose config is claimed. Blocks; needs a connection to Ray.

    Args:
        config: Resolved, with absolute paths.
        config_hash: Its hash.
        run_folder: Absolute.
        board: Actor that takes the workers' events.

    Raises:
        LandmarkError: What a user can act on.
    """
    set_ray_train_defaults(config)
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

    from jobs.cluster.elastic import trainer_class
    from jobs.cluster.store import place_of
    from jobs.signals import ray_train_signals
    from pipeline.training.worker import train_worker

    cluster = config.cluster
    resources: dict[str, float] = {"CPU": cluster.cpus_per_worker}
    if cluster.gpu:
        resources["GPU"] = cluster.gpus_per_worker
    trainer = trainer_class(config)(
        train_worker,
        train_loop_config={
            "config": config.model_dump(mode="json"),
            "config_hash": config_hash,
            "run_folder": run_folder,
            "board": board,
        },
        scaling_config=ScalingConfig(
            num_workers=(cluster.min_workers, cluster.workers) if cluster.min_workers else cluster.workers,
            use_gpu=cluster.gpu,
            resources_per_worker=resources,
        ),
        run_config=RunConfig(
            name=config.name,
            **place_of(cluster.storage),
            failure_config=FailureConfig(max_failures=cluster.max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=cluster.keep_checkpoints),
            worker_runtime_env={"env_vars": worker_environment(config)},
        ),
    )
    try:
        with ray_train_signals():
            trainer.fit()
    except Exception as error:
        hung = hang_of(board, config.name)
        if hung is not None:
            raise TrainingError(
                f"{hung}. Run the same command again to resume from the last checkpoint"
            ) from error
        raise readable(error) from error


def hang_of(board: Any, run: str) -> str | None:
    """What a run's workers have left word of before they gave up waiting for another, if they have."""
    import ray

    try:
        said: str | None = ray.get(board.hung.remote(run), timeout=30)
    except Exception:  # without Ray there is no board: what has ended the training says more than this
        return None
    return said


def readable(error: BaseException) -> LandmarkError:
    """The project's own error behind Ray's wrapping, if there is one."""
    seen: list[BaseException] = [error]
    while seen:
        current = seen.pop()
        # What comes out of a Ray process is of its cause's class too, but says a whole trace: the cause says what happened.
        cause = getattr(current, "cause", None)
        if isinstance(cause, LandmarkError):
            return cause
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
