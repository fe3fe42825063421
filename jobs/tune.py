"""``landmarks tune``: Optuna proposes, ASHA stops what falls behind, Ray Tune runs the trials; each is a real training.

A trial is a driver of its own on the cluster: it starts a Ray Train run per seed and reports its error on the held-out split.
Killed and run again, finished trials are kept and the others go on from their checkpoints.
"""

from __future__ import annotations

from functools import partial

import yaml
from rich.console import Console

from pipeline.errors import TrainingError
from pipeline.ownership import owned
from pipeline.studies.search.plan import SearchPlan, plan_search
from pipeline.studies.search.trials import Search
from pipeline.studies.tracking import parent_tracker
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import RENAME, close, ready, register_best
from pipeline.training.tracking import Tracker
from pipeline.training.tracking_store import check_store
from pipeline.words import counted


def tune(config: ExperimentConfig, *, dry_run: bool = False, console: Console | None = None) -> Search:
    """Search the space of a config's section ``tune``.

    Args:
        config: The experiment; its own values are the first trial, where the space holds them.
        dry_run: Print the search and stop.
        console: Where to print.

    Returns:
        The record of all trials.

    Raises:
        LandmarkError: Anything a user can act on; a search without a finished trial.
    """
    console = console or Console()
    plan = plan_search(config)
    _describe(plan, console)
    if dry_run:
        text = yaml.safe_dump(plan.settings.model_dump(mode="json"), sort_keys=False)
        console.print(text, highlight=False, markup=False)
        return plan.record(())
    check_store(config.tracking)
    with owned(plan.folder, f"search '{plan.config.name}'", RENAME, partial(console.print, markup=False)):
        plan.claim()
        parent = parent_tracker(plan.config, plan.folder, "tune")
        with parent.ending():
            from jobs.cluster.search import run_trials

            search = plan.record(run_trials(plan, parent, console))
            _finish(plan, search, parent, console)
    return search


def _describe(plan: SearchPlan, console: Console) -> None:
    search = plan.settings
    words = f"{counted(search.trials, 'trial')} of {counted(plan.steps, 'step')}, {counted(search.seeds, 'seed')} each"
    console.print(f"{plan.config.name}: {words}, over {', '.join(search.space)}", highlight=False)
    if search.default_first and (outside := ", ".join(plan.outside)):
        console.print(f"[yellow]the config's own values are no trial: the space does not hold {outside}")


def _finish(plan: SearchPlan, search: Search, parent: Tracker, console: Console) -> None:
    from pipeline.studies.search.compare import best
    from pipeline.studies.search.console import search_table
    from pipeline.studies.search.files import BEST, REPORT, write_results

    written = write_results(plan, search)
    console.print(search_table(search, console.width, plain=not console.is_terminal))
    winner = best(search)
    if winner is None:
        reasons = "; ".join(sorted({t.reason for t in search.of("failed") if t.reason})[:3])
        raise TrainingError(
            f"{plan.folder}: no trial has finished ({reasons or 'none failed'}); see {written[REPORT]}"
        )
    parent.metrics({"best/validation_nme": float(winner.objective or 0)}, step=winner.number)
    for url in written.values():
        parent.file(url)
    if plan.config.tracking.register_as is not None:
        run = ready(plan.training(winner.values, plan.config.seed))
        result = close(run, run.tracker("tune", parent.run_id))
        console.print(register_best(run, result, plan.config.tracking.register_as), highlight=False)
    console.print(f"best config: {written[BEST]}", highlight=False, soft_wrap=True)
    console.print(f"report: {written[REPORT]}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    from jobs.cli import main

    main("tune")
