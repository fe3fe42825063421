"""``landmarks scale``: what do N more unlabelled faces buy? A grid of runs, as many at once as the cluster holds, and the answer.

Every cell is a tracked, resumable run of its own; a later command with another seed or column trains only what is new.
"""

from __future__ import annotations

from functools import partial

from rich.console import Console

from jobs.tables import facts
from pipeline.errors import TrainingError
from pipeline.ownership import owned
from pipeline.shards.manifest import join
from pipeline.storage import write_text
from pipeline.studies.scaling.cells import Study
from pipeline.studies.scaling.plan import StudyPlan, plan_study
from pipeline.studies.tracking import parent_tracker
from pipeline.training.config.compose import to_yaml
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import RENAME, ready
from pipeline.training.tracking import Tracker
from pipeline.training.tracking_store import check_store


def scale(config: ExperimentConfig, *, dry_run: bool = False, console: Console | None = None) -> Study | None:
    """Train and measure the grid of a config's section ``scale``.

    Args:
        config: The experiment.
        dry_run: Print the grid and stop.
        console: Where to print.

    Returns:
        The study; None after a dry run.

    Raises:
        LandmarkError: Anything a user can act on. Cells that fail do not stop the others: they are named at the end.
    """
    console = console or Console()
    plan = plan_study(config)
    console.print(facts(plan.facts))
    if dry_run:
        return None
    check_store(config.tracking)
    with owned(plan.folder, f"study '{config.name}'", RENAME, partial(console.print, markup=False)):
        return _run(plan, config, console)


def _run(plan: StudyPlan, config: ExperimentConfig, console: Console) -> Study:
    runs = {name: ready(run) for name, run in plan.runs.items()}
    write_text(join(plan.folder, "config.yaml"), to_yaml(config))
    parent = parent_tracker(config, plan.folder, "scale")
    with parent.ending():
        from jobs.cluster.study import run_study

        study, failures = run_study(plan, runs, parent, console)
        _publish(study, plan.folder, parent, console)
        if failures:
            raise TrainingError(
                f"{len(failures)} of {len(runs)} runs failed; the others stand, and the same command tries these again: "
                + "; ".join(f"{name}: {error}" for name, error in list(failures.items())[:5])
            )
    return study


def _publish(study: Study, folder: str, parent: Tracker, console: Console) -> None:
    from pipeline.studies.scaling import analyse, brief, build_scaling_report, console_table, write_study

    analysis = analyse(study)
    report = join(folder, "report.html")
    written = write_study(analysis, folder)
    build_scaling_report(analysis, report, title=f"What unlabelled faces buy: {study.protocol}")
    for url in (*written.values(), report):
        parent.file(url)
    for level in analysis.levels:
        key = f"nme/{level.group.series}/l{level.group.labelled}/u{level.unlabelled}".replace(",", "")
        parent.metrics({key: level.mean}, step=len(level.seeds))
    for table in brief(analysis):
        console.print(console_table(table))
    console.print(analysis.answer.text, highlight=False, markup=False)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    from jobs.cli import main

    main("scale")
