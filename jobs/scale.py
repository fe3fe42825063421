"""``landmarks scale``: what do N more unlabelled faces buy? A grid of runs, as many at once as the cluster holds, and the answer.

Every cell is a tracked, resumable run of its own; a later command with another seed or column trains only what is new.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.grid import Grid, make_grid, study_folder
from pipeline.errors import LandmarkError, TrainingError
from pipeline.plain import flatten
from pipeline.shards.manifest import join
from pipeline.storage import write_text
from pipeline.studies.scaling.cells import Study
from pipeline.training.config.compose import config_hash, to_yaml
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.run import WHERE, TrainingResult, close, ready
from pipeline.training.tracking import Tracker, check_store


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
    grid = make_grid(config)
    _describe(config, grid, console)
    if dry_run:
        return None
    check_store(config.tracking)
    runs = {name: ready(of) for name, of in grid.runs.items()}
    folder = study_folder(config)
    write_text(join(folder, "config.yaml"), to_yaml(config))
    assert config.scale is not None  # make_grid checked
    parent = Tracker(
        config.tracking,
        config.name,
        folder,
        flatten(config.scale.model_dump(mode="json"), "scale."),
        {"landmarks.verb": "scale", "landmarks.config_hash": config_hash(config, WHERE)},
    )
    from jobs.cluster.session import ray_session
    from jobs.measure import measure

    cluster = config.cluster
    try:
        with ray_session(cpus=max(cluster.workers * cluster.cpus_per_worker, os.cpu_count() or 1)):
            todo = [name for name, run in runs.items() if run.finished is None]
            if todo:
                parent.resume()
            failures = _train(config, {name: runs[name].config for name in todo}, parent, console)
            results: dict[str, TrainingResult] = {}
            for name in runs:
                if name not in failures:
                    run = ready(grid.runs[name])
                    results[name] = close(run, run.tracker("scale", parent.run_id))
            if not results:
                raise TrainingError(
                    f"no cell was trained: {'; '.join(map(str, list(failures.values())[:2]))}"
                )
            study = measure(config, grid, results, folder)
        _publish(study, folder, parent, console)
        if failures:
            raise TrainingError(
                f"{len(failures)} of {len(runs)} runs failed; the others stand, and the same command tries these again: "
                + "; ".join(f"{name}: {error}" for name, error in list(failures.items())[:5])
            )
    except (KeyboardInterrupt, SystemExit):  # Ray Train turns the first into the second
        parent.end("KILLED")
        raise
    except BaseException:
        parent.end("FAILED")
        raise
    parent.end("FINISHED")
    return study


def _describe(config: ExperimentConfig, grid: Grid, console: Console) -> None:
    assert config.scale is not None  # make_grid checked
    steps = sorted(set(grid.steps.values()))
    images = sum(grid.steps[n] * (c.training.batch + c.unlabelled_batch) for n, c in grid.runs.items())
    table = Table(show_header=False, box=None)
    for name, values in (
        ("methods", ", ".join(config.scale.methods)),
        ("labelled", ", ".join(f"{n:,}" for n in config.scale.labelled)),
        ("unlabelled", ", ".join(f"{n:,}" for n in config.scale.unlabelled)),
        ("widths", ", ".join(map(str, config.scale.widths or ("the config's",)))),
        ("seeds", ", ".join(map(str, config.scale.seeds))),
        (
            "runs",
            f"{len(grid.runs)} for {len(grid.cells)} cells, of {', '.join(f'{s:,}' for s in steps)} steps",
        ),
        ("images", f"{images:,} in all"),
    ):
        table.add_row(f"[bold]{name}", values)
    console.print(table)


def _train(
    config: ExperimentConfig, runs: Mapping[str, ExperimentConfig], parent: Tracker, console: Console
) -> dict[str, LandmarkError]:
    """Train what is not trained yet; returns what failed, and why."""
    if not runs:
        return {}
    import ray

    from jobs.cluster.board import new_board
    from jobs.cluster.fit import readable, set_ray_train_defaults
    from jobs.cluster.fleet import Fleet, alive_nodes, runs_at_once, search_path, train_on_cluster

    set_ray_train_defaults(config)
    assert config.scale is not None  # the caller checked
    concurrent = runs_at_once(config.cluster, alive_nodes(), config.scale.concurrent)
    remote: Any = ray.remote(num_cpus=0, max_retries=0)(train_on_cluster)
    board = new_board()
    waiting = deque(runs)
    pending: dict[Any, str] = {}
    failures: dict[str, LandmarkError] = {}
    with Fleet(board, config.name, "scale", parent, len(runs), console) as fleet:
        while waiting or pending:
            while waiting and len(pending) < concurrent:
                name = waiting.popleft()
                raw = runs[name].model_dump(mode="json")
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
    for grid in brief(analysis):
        console.print(console_table(grid))
    console.print(analysis.answer.text, highlight=False, markup=False)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    from jobs.cli import main

    main("scale")
