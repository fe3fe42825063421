"""The trials of a search on Ray Tune."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ray.tune import Callback
from rich.console import Console

from jobs.board import POLL_SECONDS, new_board
from jobs.fit import readable, set_ray_train_defaults
from jobs.fleet import Fleet, alive_nodes, runs_at_once, search_path, train_on_cluster
from jobs.train import read_text
from pipeline.config.compose import with_values
from pipeline.config.space import values_hash
from pipeline.config.tune import TuneConfig
from pipeline.evaluation.search.importance import distribution
from pipeline.evaluation.search.trials import Trial
from pipeline.shards.manifest import join
from pipeline.training.config import ExperimentConfig
from pipeline.training.tracking import Tracker

OBJECTIVE, PROGRESS, CURVE = "objective", "progress", "curve"


def run_trials(
    config: ExperimentConfig,
    search: TuneConfig,
    folder: str,
    parent: Tracker,
    first: dict[str, Any] | None,
    console: Console,
) -> tuple[Trial, ...]:
    """Run, or resume, the trials of a search.

    Args:
        config: With absolute paths.
        search: Its section.
        folder: Of the search, local.
        parent: MLflow run of the search.
        first: Values of trial 0; None lets the sampler choose.
        console: For progress.

    Raises:
        ClusterError: Not even one trial fits the cluster.
    """
    quiet_tune()
    set_ray_train_defaults(config)
    from jobs.cluster import ray_session

    cluster = config.cluster
    # A stopped trial's workers are cleaned up by an actor of Ray Train's that asks the state API.
    with ray_session(
        cpus=max(cluster.workers * cluster.cpus_per_worker, os.cpu_count() or 1), dashboard=True
    ):
        from ray import tune
        from ray.tune import ResultGrid

        concurrent = runs_at_once(cluster, alive_nodes(), search.concurrent)
        board = new_board()
        settings = {
            "config": config.model_dump(mode="json"),
            "folder": folder,
            "seeds": [config.seed + i for i in range(search.seeds)],
            "yardstick": first,
            "board": board,
            "path": search_path(),
        }
        # Memory, not CPU: whatever CPU the waiting driver took would be missing for the last worker.
        trainable = tune.with_resources(tune.with_parameters(_trial, settings=settings), {"memory": 1})
        tuner = _tuner(
            tune, trainable, search, folder, first, concurrent, Ends(config.name, config.seed, search.seeds)
        )
        # Of a resumed search, what earlier commands have finished.
        resumed = sum(bool((result.metrics or {}).get("done")) for result in _known(tuner))
        if resumed < search.trials:
            parent.resume()
        with Fleet(board, config.name, "tune", parent, search.trials, console) as fleet:
            _LIVE[config.name] = fleet
            fleet.done = resumed
            try:
                results: ResultGrid = tuner.fit()
            finally:
                del _LIVE[config.name]
        numbered = sorted(
            ((_number(result, place), result) for place, result in enumerate(results)),
            key=lambda pair: pair[0],
        )
        return tuple(_read(number, result, folder, config) for (number, _), result in numbered)


def quiet_tune() -> None:
    """Ray Tune reads these when it starts: its own tables would draw over ours, and its state must be fresh when killed."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "10")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_SYNCER", "1")


def _tuner(
    tune: Any,
    trainable: Any,
    search: TuneConfig,
    folder: str,
    first: dict[str, Any] | None,
    concurrent: int,
    ends: Any,
) -> Any:
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
    from ray.tune.search.optuna import OptunaSearch

    path = f"{folder}/ray"
    if tune.Tuner.can_restore(path):
        return tune.Tuner.restore(path, trainable, resume_unfinished=True, resume_errored=True)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searcher = OptunaSearch(
        {key: distribution(parameter) for key, parameter in search.space.items()},
        metric=OBJECTIVE,
        mode="min",
        points_to_evaluate=[first] if first is not None else None,
        sampler=optuna.samplers.TPESampler(
            seed=search.sampler_seed, n_startup_trials=search.startup_trials, multivariate=True
        ),
    )
    scheduler = FIFOScheduler()
    if search.prune:
        scheduler = ASHAScheduler(
            time_attr=PROGRESS,
            max_t=100,
            grace_period=max(round(100 * search.grace), 1),
            reduction_factor=search.reduction,
        )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            metric=OBJECTIVE,
            mode="min",
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=search.trials,
            max_concurrent_trials=concurrent,
        ),
        run_config=tune.RunConfig(name="ray", storage_path=folder, verbose=0, callbacks=[ends]),
    )


def _known(tuner: Any) -> list[Any]:
    """Results of a restored search; none of a new one."""
    try:
        return list(tuner.get_results())
    except RuntimeError:  # Ray's answer before the first fit
        return []


def trial_config(
    config: ExperimentConfig, values: dict[str, Any], name: str, seed: int, folder: str
) -> ExperimentConfig:
    """What one training of a trial runs.

    Args:
        config: The experiment.
        values: The trial's.
        name: Of the run.
        seed: Of the run.
        folder: Of the search.

    Raises:
        ConfigError: Values that do not go together.
    """
    own = {"name": name, "seed": seed, "cluster.storage": join(folder, "runs"), "tracking.register_as": None}
    bare = config.model_copy(update={"tune": None, "scale": None})
    return with_values(bare, {**values, **own}, f"trial {name}")


def trial_name(search: str, values: dict[str, Any]) -> str:
    """Stem of the names of a trial's runs; a seed follows."""
    return f"{search[:30]}-{values_hash(values)}"


def _trial(values: dict[str, Any], settings: dict[str, Any]) -> None:
    """What Ray Tune runs as one trial: a training per seed, the first of which ASHA judges."""
    from ray import tune

    config = ExperimentConfig.model_validate(settings["config"])
    name = trial_name(config.name, values)
    # What the others are compared with is trained to its end, however it begins.
    judged = values != settings["yardstick"]
    per_seed: list[float] = []
    curve: list[tuple[int, float]] = []
    steps = 0
    for place, seed in enumerate(settings["seeds"]):
        chosen = trial_config(config, values, f"{name}-s{seed}", seed, settings["folder"])
        for event in _events(chosen, settings, {"landmarks.trial": name}):
            if "ended" in event:
                per_seed.append(event["ended"]["best"])
                steps = event["ended"]["step"]
                continue
            step, nme = event["step"], event["metrics"]["validation/best_nme"]
            if place == 0:
                curve.append((step, nme))
            # The end is held back until all seeds are done: what the search compares is their mean.
            if place == 0 and judged and step < event["steps"]:
                tune.report(
                    {
                        OBJECTIVE: nme,
                        PROGRESS: 100 * step / event["steps"],
                        "step": step,
                        CURVE: json.dumps(curve),
                    }
                )
    tune.report(
        {
            OBJECTIVE: sum(per_seed) / len(per_seed),
            PROGRESS: 100.0,
            "step": steps,
            "per_seed": json.dumps(per_seed),
            CURVE: json.dumps(curve),
        }
    )


def _events(
    config: ExperimentConfig, settings: dict[str, Any], tags: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Train, passing everything on to the driver's board; yields validations, and the end as ``ended``."""
    import ray

    board = new_board()
    ended: dict[str, Any] = {}
    failed: list[BaseException] = []

    def work() -> None:
        try:
            ended["ended"] = train_on_cluster(config.model_dump(mode="json"), board, settings["path"], tags)
        except BaseException as error:
            failed.append(error)

    # A daemon: when ASHA stops the trial, its process must end without waiting for the training.
    thread = threading.Thread(target=work, name=config.name, daemon=True)
    thread.start()
    while True:
        over = not thread.is_alive()
        for event in ray.get(board.take.remote()):
            settings["board"].push.remote(event)
            if "validation/best_nme" in event.get("metrics", {}):
                yield event
        if over:
            break
        time.sleep(POLL_SECONDS)
    if failed:
        raise readable(failed[0])
    yield ended


_LIVE: dict[str, Fleet] = {}
"""Search name → what this process shows of it: Ray pickles a search's callbacks, and a restored one must find today's fleet."""


class Ends(Callback):
    """Ends a trial's MLflow runs when the trial ends.

    Args:
        search: Its name.
        seed: Its first.
        seeds: How many.
    """

    def __init__(self, search: str, seed: int, seeds: int) -> None:
        self._search, self._seeds = search, range(seed, seed + seeds)

    def _end(self, trial: Any, status: str, state: str) -> None:
        fleet = _LIVE[self._search]
        for seed in self._seeds:
            fleet.end(f"{trial_name(self._search, trial.config)}-s{seed}", status, state=state)
        fleet.done += 1

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: the trial ended, or was stopped."""
        whole = trial.last_result.get(PROGRESS, 0) >= 100
        self._end(trial, *(("FINISHED", "finished") if whole else ("KILLED", "pruned")))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: the trial failed."""
        self._end(trial, "FAILED", "failed")


def _number(result: Any, place: int) -> tuple[int, int]:
    """Order of proposal, which Ray Tune puts into the name of a trial's folder: after a restart its own order is another."""
    found = re.search(r"_[0-9a-f]{8}_(\d+)(_|$)", Path(result.path).name)
    return (int(found[1]) - 1 if found else place), place


def _read(number: int, result: Any, folder: str, config: ExperimentConfig) -> Trial:
    """A trial's record from Ray Tune's."""
    metrics = result.metrics or {}
    name = trial_name(config.name, result.config)
    curve: dict[int, float] = {}
    frame = result.metrics_dataframe
    # A resumed trial's curve begins after its checkpoint; what it reported before is in the rows before.
    for part in frame[CURVE] if frame is not None and CURVE in frame else ():
        curve |= {int(step): float(nme) for step, nme in json.loads(part)}
    per_seed = tuple(json.loads(metrics.get("per_seed", "[]")))
    # Kept beside the run: an earlier command may have tracked it.
    tracked = read_text(join(folder, f"runs/{name}-s{config.seed}/mlflow.json"))
    finished = metrics.get(PROGRESS, 0) >= 100
    state = "finished" if finished else "failed" if result.error is not None else "pruned"
    return Trial(
        number=number,
        name=name,
        values=dict(result.config),
        state=state,
        objective=metrics.get(OBJECTIVE) if not result.error else None,
        per_seed=per_seed,
        steps=int(metrics.get("step", 0)),
        seconds=float(metrics.get("time_total_s", 0.0)),
        reason=str(readable(result.error)) if result.error is not None else None,
        curve=tuple(sorted(curve.items())),
        mlflow_run=json.loads(tracked)["run_id"] if tracked else None,
    )
