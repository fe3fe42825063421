"""``landmarks tune``: Optuna proposes, ASHA stops what falls behind, Ray Tune runs the trials; each is a real training.

A trial is a driver of its own on the cluster: it starts a Ray Train run per seed and reports its error on the held-out split.
Killed and run again, finished trials are kept and the others go on from their checkpoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from pipeline.errors import ConfigError, TrainingError
from pipeline.evaluation import provenance
from pipeline.plain import flatten
from pipeline.shards.manifest import join, manifest_url
from pipeline.storage import absolute, is_local, read_text, write_text
from pipeline.studies.search.space import check_space, own_values
from pipeline.studies.search.trials import Search, Trial, write_csv, write_search
from pipeline.training.config.compose import config_hash, differences, to_yaml, validate, with_values
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.tune import TuneConfig
from pipeline.training.plan import make_plan
from pipeline.training.run import WHERE, close, ready, register_best, with_absolute_paths
from pipeline.training.tracking import Tracker, check_store


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
    search = _checked(config)
    config, folder = with_absolute_paths(config), absolute(join(search.storage, config.name))
    plan = make_plan(config)
    default = own_values(config, search.space)
    first = all(parameter.holds(default[key]) for key, parameter in search.space.items())
    console.print(
        f"{config.name}: {search.trials} trials of {plan.steps:,} steps, {search.seeds} seed(s) each, over "
        + ", ".join(search.space),
        highlight=False,
    )
    if search.default_first and not first:
        outside = [key for key, parameter in search.space.items() if not parameter.holds(default[key])]
        console.print(
            f"[yellow]the config's own values are no trial: the space does not hold {', '.join(outside)}"
        )
    if dry_run:
        console.print(
            yaml.safe_dump(search.model_dump(mode="json"), sort_keys=False), highlight=False, markup=False
        )
        return _record(config, search, default, ())
    check_store(config.tracking)
    _claim(config, folder)
    parent = Tracker(
        config.tracking,
        config.name,
        folder,
        flatten(search.model_dump(mode="json"), "tune."),
        {"landmarks.verb": "tune", "landmarks.config_hash": config_hash(config, WHERE)},
    )
    try:
        from jobs.trials import run_trials

        trials = run_trials(
            config, search, folder, parent, default if search.default_first and first else None, console
        )
        record = _record(config, search, default, trials)
        _finish(config, record, folder, parent, console)
    except (KeyboardInterrupt, SystemExit):  # Ray Train turns the first into the second
        parent.end("KILLED")
        raise
    except BaseException:
        parent.end("FAILED")
        raise
    parent.end("FINISHED")
    return record


def _checked(config: ExperimentConfig) -> TuneConfig:
    if config.tune is None:
        raise ConfigError(
            f"'{config.name}' has no section 'tune': name the keys to search and their values (tune.space)"
        )
    if config.data.validation is None or config.training.select != "best":
        raise ConfigError(
            "a search needs data.validation and training.select=best: its objective is the best error there"
        )
    check_space(config, config.tune.space)
    return config.tune


def _claim(config: ExperimentConfig, folder: str) -> None:
    if not is_local(folder):
        raise ConfigError(
            f"tune.storage = {folder}: Ray Tune's record of a search needs a path; mount shared storage"
        )
    url = join(folder, "config.yaml")
    known = read_text(url)
    if known is None:
        write_text(url, to_yaml(config))
        return
    old = validate(yaml.safe_load(known), ExperimentConfig, url)

    def essential(of: ExperimentConfig) -> ExperimentConfig:
        assert of.tune is not None  # it was claimed with one
        return of.model_copy(update={"tune": of.tune.model_copy(update={"concurrent": None})})

    if config_hash(essential(old), WHERE - {"tune"}) != config_hash(essential(config), WHERE - {"tune"}):
        changed = [
            d
            for d in differences(essential(old), essential(config))
            if d.split(".")[0] not in WHERE - {"tune"}
        ]
        raise ConfigError(
            f"search '{config.name}' exists in {folder} with another config ({'; '.join(changed[:5])}): a resumed search keeps "
            "its config; choose another name=…, or remove the folder to start afresh"
        )


def _record(
    config: ExperimentConfig, search: TuneConfig, default: dict[str, Any], trials: tuple[Trial, ...]
) -> Search:
    assert config.data.validation is not None  # checked first
    return Search(
        name=config.name,
        space=search.space,
        default=default,
        trials=trials,
        planned=search.trials,
        seeds=tuple(config.seed + i for i in range(search.seeds)),
        validation=Path(manifest_url(config.data.validation)).parent.name,
        provenance=provenance.collect(
            config_hash(config, WHERE), config.seed, sampler_seed=search.sampler_seed
        ),
    )


def _finish(config: ExperimentConfig, record: Search, folder: str, parent: Tracker, console: Console) -> None:
    from pipeline.studies.search.compare import best
    from pipeline.studies.search.console import search_table
    from pipeline.studies.search.report import build_search_report

    write_search(record, join(folder, "search.json"))
    write_csv(record, join(folder, "trials.csv"))
    console.print(search_table(record, console.width, plain=not console.is_terminal))
    winner, report = best(record), join(folder, "report.html")
    if winner is None:
        build_search_report(record, report)
        reasons = "; ".join(sorted({t.reason for t in record.of("failed") if t.reason})[:3])
        raise TrainingError(
            f"{folder}: no trial has finished{': ' + reasons if reasons else ''}; see {report}"
        )
    text = _best_yaml(config, record, winner)
    write_text(join(folder, "best.yaml"), text)
    build_search_report(
        record, report, best_yaml=text, command=f"landmarks train {join(folder, 'best.yaml')}"
    )
    parent.metrics({"best/validation_nme": float(winner.objective or 0)}, step=winner.number)
    for name in ("search.json", "trials.csv", "best.yaml", "report.html"):
        parent.file(join(folder, name))
    if config.tracking.register_as is not None:
        from jobs.trial import trial_config

        run = ready(trial_config(config, winner.values, f"{winner.name}-s{config.seed}", config.seed, folder))
        result = close(run, run.tracker("tune", parent.run_id))
        console.print(register_best(run, result, config.tracking.register_as), highlight=False)
    console.print(f"best config: {join(folder, 'best.yaml')}", highlight=False, soft_wrap=True)
    console.print(f"report: {report}", highlight=False, soft_wrap=True)


def _best_yaml(config: ExperimentConfig, record: Search, winner: Trial) -> str:
    own = {"name": f"{config.name[:42]}-best"}
    chosen = with_values(config.model_copy(update={"tune": None}), {**winner.values, **own}, "best trial")
    return (
        f"# Best of the search '{config.name}': trial {winner.number}, {winner.objective:.3f} % NME on the held-out split, "
        f"mean of {len(record.seeds)} seed(s).\n# Chosen on that split: expect a little more elsewhere.\n{to_yaml(chosen)}"
    )


if __name__ == "__main__":
    from jobs.cli import main

    main("tune")
