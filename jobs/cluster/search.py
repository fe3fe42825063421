"""The trials of a search on Ray Tune."""

from __future__ import annotations

import os
from typing import Any

from ray.tune import Callback
from rich.console import Console

from jobs.cluster.board import new_board
from jobs.cluster.fit import set_ray_train_defaults
from jobs.cluster.fleet import Fleet, alive_nodes, runs_at_once, search_path
from jobs.cluster.trial import OBJECTIVE, PROGRESS, TrialHost, read_trial, run_trial
from pipeline.studies.search.optuna_study import distribution
from pipeline.studies.search.plan import SearchPlan
from pipeline.studies.search.trials import Trial
from pipeline.training.tracking import Tracker


def run_trials(plan: SearchPlan, parent: Tracker, console: Console) -> tuple[Trial, ...]:
    """Run, or resume, the trials of a search.

    Args:
        plan: Of the search, claimed.
        parent: MLflow run of the search.
        console: For progress.

    Raises:
        ClusterError: Not even one trial fits the cluster.
    """
    _quiet_tune()
    config, search = plan.config, plan.settings
    set_ray_train_defaults(config)
    from jobs.cluster.session import ray_session

    cluster = config.cluster
    with ray_session(cpus=max(cluster.workers * cluster.cpus_per_worker, os.cpu_count() or 1)):
        from ray import tune
        from ray.tune import ResultGrid

        concurrent = runs_at_once(cluster, alive_nodes(), search.concurrent)
        board = new_board()
        host = TrialHost(plan, board, search_path())
        # Memory, not CPU: whatever CPU the waiting driver took would be missing for the last worker.
        trainable = tune.with_resources(tune.with_parameters(run_trial, host=host), {"memory": 1})
        tuner = _tuner(plan, trainable, concurrent)
        # Of a resumed search, what earlier commands have finished.
        resumed = sum(bool((result.metrics or {}).get("done")) for result in _known(tuner))
        if resumed < search.trials:
            parent.resume()
        with Fleet(board, config.name, "tune", parent, search.trials, console) as fleet:
            _LIVE[config.name] = plan, fleet
            fleet.done = resumed
            try:
                results: ResultGrid = tuner.fit()
            finally:
                del _LIVE[config.name]
        trials = [read_trial(result, place, plan) for place, result in enumerate(results)]
        return tuple(sorted(trials, key=lambda trial: trial.number))


def _quiet_tune() -> None:
    """Ray Tune reads these when it starts: its own tables would draw over ours, and its state must be fresh when killed."""
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "10")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_SYNCER", "1")


def _tuner(plan: SearchPlan, trainable: Any, concurrent: int) -> Any:
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
    from ray.tune.search.optuna import OptunaSearch

    search, path = plan.settings, f"{plan.folder}/ray"
    if tune.Tuner.can_restore(path):
        return tune.Tuner.restore(path, trainable, resume_unfinished=True, resume_errored=True)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searcher = OptunaSearch(
        {key: distribution(parameter) for key, parameter in search.space.items()},
        metric=OBJECTIVE,
        mode="min",
        points_to_evaluate=[plan.first] if plan.first is not None else None,
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
        run_config=tune.RunConfig(
            name="ray", storage_path=plan.folder, verbose=0, callbacks=[Ends(plan.config.name)]
        ),
    )


def _known(tuner: Any) -> list[Any]:
    """Results of a restored search; none of a new one."""
    try:
        return list(tuner.get_results())
    except RuntimeError:  # Ray's answer before the first fit
        return []


_LIVE: dict[str, tuple[SearchPlan, Fleet]] = {}
"""Search name → what this process runs and shows of it: Ray pickles a search's callbacks; a restored one must find today's."""


class Ends(Callback):
    """Ends a trial's MLflow runs when the trial ends.

    Args:
        search: Its name.
    """

    def __init__(self, search: str) -> None:
        self._search = search

    def _end(self, trial: Any, status: str, state: str) -> None:
        plan, fleet = _LIVE[self._search]
        for seed in plan.seeds:
            fleet.end(f"{plan.trial_name(trial.config)}-s{seed}", status, state=state)
        fleet.done += 1

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: the trial ended, or was stopped."""
        whole = trial.last_result.get(PROGRESS, 0) >= 100
        self._end(trial, *(("FINISHED", "finished") if whole else ("KILLED", "pruned")))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Ray Tune's hook: the trial failed."""
        self._end(trial, "FAILED", "failed")
