"""A study on a cluster: its runs trained, as many at once as there is room for, and measured."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console

from jobs.cluster.board import new_board
from jobs.cluster.fit import readable, set_ray_train_defaults
from jobs.cluster.fleet import Fleet, alive_nodes, runs_at_once, search_path, train_on_cluster
from jobs.cluster.predict import predict
from jobs.cluster.session import ray_session
from pipeline.errors import LandmarkError, TrainingError
from pipeline.evaluation.predictions import Predictions
from pipeline.inference.trained import find_trained
from pipeline.shards.manifest import load_manifest
from pipeline.studies.scaling.cells import Study
from pipeline.studies.scaling.measure import measure
from pipeline.studies.scaling.plan import StudyPlan
from pipeline.training.run import Run, TrainingResult, close, ready
from pipeline.training.tracking import Tracker


def run_study(
    plan: StudyPlan, runs: Mapping[str, Run], parent: Tracker, console: Console
) -> tuple[Study, dict[str, LandmarkError]]:
    """Train what is not trained yet and measure all of it.

    Args:
        plan: Of the study.
        runs: Its runs by name, ready.
        parent: MLflow run of the study.
        console: For progress.

    Returns:
        The study of the runs that have finished, and why others have not: they do not stop the others.

    Raises:
        ClusterError: Not even one run fits the cluster.
        TrainingError: Every run failed.
    """
    cluster = plan.config.cluster
    failures: dict[str, LandmarkError] = {}
    with ray_session(cpus=max(cluster.workers * cluster.cpus_per_worker, os.cpu_count() or 1)):
        todo = {name: run for name, run in runs.items() if run.finished is None}
        if todo:
            parent.resume()
            failures = _train(plan, todo, parent, console)
        finished = [ready(plan.runs[name]) for name in runs if name not in failures]
        results = {run.config.name: close(run, run.tracker("scale", parent.run_id)) for run in finished}
        if not results:
            raise TrainingError(f"no cell was trained: {'; '.join(map(str, list(failures.values())[:2]))}")
        return measure(plan, results, partial(_predict, gpu=cluster.gpu)), failures


def _predict(results: Sequence[TrainingResult], data: str, *, gpu: bool) -> list[Predictions]:
    models, manifest = [find_trained(result.run_folder) for result in results], load_manifest(data)
    for model in models:
        model.check_fits(manifest, data)
    return predict([model.folder for model in models], data, gpu=gpu)


def _train(
    plan: StudyPlan, runs: Mapping[str, Run], parent: Tracker, console: Console
) -> dict[str, LandmarkError]:
    """Train some runs; returns those that failed, and why."""
    import ray

    config = plan.config
    set_ray_train_defaults(config)
    concurrent = runs_at_once(config.cluster, alive_nodes(), plan.settings.concurrent)
    remote: Any = ray.remote(num_cpus=0, max_retries=0)(train_on_cluster)
    board = new_board()
    waiting = deque(runs)
    pending: dict[Any, str] = {}
    failures: dict[str, LandmarkError] = {}
    with Fleet(board, config.name, "scale", parent, len(runs), console) as fleet:
        while waiting or pending:
            while waiting and len(pending) < concurrent:
                name = waiting.popleft()
                raw = runs[name].config.model_dump(mode="json")
                pending[remote.remote(raw, board, search_path(), {})] = name
            done, _ = ray.wait(list(pending), num_returns=1, timeout=5)
            for reference in done:
                name = pending.pop(reference)
                try:
                    ray.get(reference)
                    fleet.finish(name)
                except Exception as error:
                    failures[name] = readable(error)
                    fleet.end(name, "FAILED", reason=str(failures[name]))
                fleet.done += 1
    return failures
