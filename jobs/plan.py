"""``landmarks plan``: what a config will take, in hours, memory, reads and storage, from short runs of what it asks for.

A few images of each set are prepared, a few dozen steps trained, through the code of the real thing and into a temporary folder.
What a recipe begins only later in a run (a weight's ``start_step``, a teacher) is not in these steps.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from pathlib import Path

from rich.console import Console

from jobs.cluster.prepare_pool import ChunkJob, ChunkWorker
from jobs.tables import facts
from jobs.train import train
from pipeline.errors import ManifestError
from pipeline.inference.tracked import tracked_run
from pipeline.shards.plan import SetPlan, plan_sets
from pipeline.shards.prepare_config import PrepareConfig
from pipeline.shards.staging import Staging
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.forecast import Forecast, Measured, forecast, times_due
from pipeline.training.plan import Plan, make_plan
from pipeline.training.run import with_absolute_paths
from pipeline.training.short_run import WINDOW, short_run
from pipeline.words import counted

IMAGES = 64
"""Images of a set that are prepared, evenly over all of them."""
_WARMUP = 4


def plan(config: ExperimentConfig, *, steps: int, workers: int | None, console: Console) -> None:
    """Measure, and print what the whole will take.

    Args:
        config: The experiment; with a section ``prepare``, its sets' preparation, too.
        steps: Timed steps of a training.
        workers: Processes of a preparation; None for one per core of this machine.
        console: Where to print.

    Raises:
        LandmarkError: What would stop the preparation or the training itself.
    """
    if config.prepare is not None:
        cores = workers or len(os.sched_getaffinity(0))
        for one in plan_sets(config.prepare):
            console.print(facts(_preparation(one, config.prepare, cores)))
    config = with_absolute_paths(config)
    try:
        whole = make_plan(config)
    except ManifestError as error:
        if config.prepare is None:
            raise
        console.print(
            f"training: not yet, its sets are not there ({error}); prepare them and plan again", markup=False
        )
        return
    measured = _trained(config, steps)
    console.print(facts(_training(whole, measured, forecast(whole, measured))))


def _preparation(one: SetPlan, config: PrepareConfig, cores: int) -> dict[str, str]:
    """A set's row: prepared are some of its images, here and on one core."""
    count = len(one.records)
    chosen = one.records[:: max(count // IMAGES, 1)][:IMAGES]
    with tempfile.TemporaryDirectory(prefix="landmarks-plan-") as folder:
        staging = Staging(folder, one.name, "0" * 64)
        worker, job = ChunkWorker(), ChunkJob(one.options, config.detector, None, staging)
        worker.run(job, 0, chosen[:_WARMUP])
        began = time.perf_counter()
        worker.run(job, 1, chosen)
        seconds = time.perf_counter() - began
        kept, _, _ = staging.state(1)
        stored = sum(path.stat().st_size for path in Path(staging.folder).glob("chunk-000001.tar"))
    rate = len(chosen) / seconds
    return {
        f"prepare {one.name}": f"{count:,} images, of which some {kept / len(chosen):.0%} are kept",
        "time": f"{_duration(count / rate / cores)} on {counted(cores, 'core')}, {rate:,.0f} images/s each",
        "stored": f"{_size(stored / len(chosen) * count)}, twice while it is prepared",
    }


def _trained(config: ExperimentConfig, steps: int) -> Measured:
    """Train for some steps, as ``landmarks train`` does, with one worker's share of each batch."""
    windows = -(-steps // WINDOW)
    with tempfile.TemporaryDirectory(prefix="landmarks-plan-") as folder:
        chosen = short_run(
            config, windows * WINDOW, folder, "plan", validated=True, share=config.cluster.workers
        )
        began = time.perf_counter()
        # Its own bars and lines would drown the one table that this verb is for.
        result = train(chosen, Console(file=io.StringIO()))
        wall = time.perf_counter() - began
        tracked = tracked_run(result.run_folder)
        assert tracked is not None  # it has just been tracked
        last = WINDOW * (windows + 1)

        def of_end(name: str) -> float:
            return tracked.history(f"system/{name}").get(last, 0.0)

        rates = [r for step, r in tracked.history("train/steps_per_second").items() if step > WINDOW]
        gpu = tracked.history("system/worker0/gpu_memory_mib")
        pauses = {name: of_end(f"{name}_seconds") for name in ("validation", "images", "checkpoint")}
        run = Path(result.run_folder)
        return Measured(
            step=sum(1 / rate for rate in rates) / len(rates),
            around=max(wall - result.seconds - sum(pauses.values()), 0.0),
            memory_mib=max(tracked.history("system/worker0/memory_mib").values()),
            gpu_memory_mib=max(gpu.values()) if gpu else None,
            checkpoint_bytes=max(map(_bytes, run.glob("step-*"))),
            model_bytes=_bytes(run / "models" / "last"),
            **pauses,
        )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _training(whole: Plan, measured: Measured, expected: Forecast) -> dict[str, str]:
    config = whole.config
    workers = config.cluster.workers
    images = config.training.batch + config.unlabelled_batch
    validations = times_due(whole, whole.validate_steps) if whole.validation is not None else 0
    checkpoints = times_due(whole, whole.checkpoint_steps)
    gpu = "" if measured.gpu_memory_mib is None else f", {measured.gpu_memory_mib:,.0f} MiB of the GPU"
    alone = "" if workers == 1 else f"; of {workers}, without what they exchange, which one does not show"
    return {
        f"train {config.name}": f"{_duration(expected.seconds)}, measured on one worker here{alone}",
        "steps": f"{whole.steps:,} of {measured.step:.3g} s: {_duration(expected.training)}, "
        f"{images / measured.step:,.0f} images/s",
        "validation": f"{validations:,} of {measured.validation / workers:.3g} s: {_duration(expected.validation)}",
        "images drawn": f"{times_due(whole, whole.image_steps):,} of {measured.images:.3g} s: {_duration(expected.images)}",
        "checkpoints": f"{checkpoints:,} of {measured.checkpoint:.3g} s: {_duration(expected.checkpoints)}",
        "start and end": _duration(expected.around),
        "memory a worker": f"{measured.memory_mib:,.0f} MiB{gpu}",
        "read": f"{_size(expected.read_bytes)} by all workers, {_size(expected.read_bytes_per_second)}/s",
        "stored": f"{_size(expected.stored_bytes)}: {counted(config.cluster.keep_checkpoints, 'checkpoint')} of "
        f"{_size(measured.checkpoint_bytes)} and 2 models of {_size(measured.model_bytes)}",
    }


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:,.1f} h"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


if __name__ == "__main__":
    from jobs.cli import main

    main("plan")
