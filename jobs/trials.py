"""The trials of a search on Ray Tune."""

from __future__ import annotations

import os
from typing import Any

from ray.tune import Callback
from rich.console import Console

from jobs.cluster.board import new_board
from jobs.cluster.fit import set_ray_train_defaults
from jobs.cluster.fleet import Fleet, alive_nodes, runs_at_once, search_path
from jobs.trial import OBJECTIVE, PROGRESS, read_trial, run_trial, trial_name
from pipeline.studies.search.importance import distribution
from pipeline.studies.search.trials import Trial
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.tune import TuneConfig
from pipeline.training.tracking import Tracker


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
    from jobs.cluster.session import ray_session

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
        trainable = tune.with_resources(tune.with_parameters(run_trial, settings=settings), {"memory": 1})
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
        trials = [read_trial(result, place, folder, config) for place, result in enumerate(results)]
        return tuple(sorted(trials, key=lambda trial: trial.number))


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
