"""``landmarks train``: Ray Train workers, DeepSpeed engines, one MLflow run. The same command again resumes."""

from __future__ import annotations

import os
from functools import partial

from rich.console import Console

from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import Run, TrainingResult, close, owned_run, ready, register_best
from pipeline.training.tracking import Tracker
from pipeline.training.tracking_store import check_store


def train(
    config: ExperimentConfig,
    console: Console | None = None,
    *,
    verb: str = "train",
    parent: str | None = None,
) -> TrainingResult:
    """Train, or resume, the run a config names.

    Args:
        config: Of the run.
        console: Where to print.
        verb: For the tags of its MLflow run.
        parent: Id of the MLflow run it belongs to, if it is a stage of something.

    Raises:
        LandmarkError: Anything a user can act on: bad config or sets, no tracking server, non-finite loss, full disk; another
            training of this name.
    """
    console = console or Console()
    check_store(config.tracking)
    with owned_run(config, partial(console.print, style="yellow", markup=False)):
        return _train(config, console, verb, parent)


def _train(config: ExperimentConfig, console: Console, verb: str, parent: str | None) -> TrainingResult:
    run = ready(config)
    for note in run.notes:
        console.print(note, markup=False, highlight=False)
    tracker = run.tracker(verb, parent)
    with tracker.ending():
        if run.finished is not None:
            console.print(f"run '{run.config.name}' is finished already: {run.folder}")
        else:
            _fit(run, tracker, console)
        result = close(run, tracker)
        if config.tracking.register_as is not None:
            console.print(register_best(run, result), highlight=False)
    return result


def _fit(run: Run, tracker: Tracker, console: Console) -> None:
    from jobs.cluster.fit import fit, set_ray_train_defaults
    from jobs.cluster.session import ray_session

    set_ray_train_defaults(run.config)
    cluster = run.config.cluster
    with ray_session(cpus=max(cluster.workers * cluster.cpus_per_worker, os.cpu_count() or 1)):
        from jobs.cluster.board import new_board
        from jobs.cluster.monitor import Monitor

        board = new_board()
        with Monitor(board, tracker, run.config.name, console) as monitor:
            fit(run.config, run.config_hash, run.folder, board)
        if monitor.problem is not None:
            console.print(f"[yellow]some metrics of '{run.config.name}' were not logged: {monitor.problem}")


if __name__ == "__main__":
    from jobs.cli import main

    main("train")
