"""``landmarks checkpoint inspect``: the checkpoints of a run, each compared with the digests it was written with."""

from __future__ import annotations

from typing import Annotated

import typer

checkpoint: typer.Typer = typer.Typer(help="A run's checkpoints.", no_args_is_help=True)


@checkpoint.callback()
def _group() -> None:
    """A run's checkpoints."""  # with a callback, the only command keeps its name


@checkpoint.command()
def inspect(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run's folder, or its config YAML")],
) -> None:
    """List the checkpoints: step, size, and whole or what is damaged. Exit code 1 where one is damaged."""
    raise typer.Exit(0 if show(run) else 1)


def show(run: str) -> bool:
    """Print a run's checkpoints, newest first; a resume takes the first that is whole.

    Args:
        run: Its folder, or its config.

    Returns:
        Whether all are whole.

    Raises:
        DataError: Nothing of a run lies there.
        ConfigError: The config is not valid.
    """
    from rich.console import Console

    from jobs.tables import folding
    from pipeline.errors import DataError, TrainingError
    from pipeline.shards.manifest import join
    from pipeline.storage import absolute, names_in
    from pipeline.training.config.compose import compose
    from pipeline.training.config.experiment import ExperimentConfig
    from pipeline.training.integrity import damage, is_checkpoint, read_seal
    from pipeline.training.run import run_folder_of

    folder = absolute(run)
    if run.endswith((".yaml", ".yml")):
        folder = run_folder_of(compose(run, [], ExperimentConfig))
    inside = names_in(folder)
    if "config.yaml" not in inside:
        raise DataError(f"{folder}: not a run's folder (it holds no config.yaml)")
    names = sorted(filter(is_checkpoint, inside), reverse=True)
    table = folding("checkpoint", "step", "MiB", "workers", "config", "state")
    found: list[str] = []
    for name in names:
        url = join(folder, name)
        problems = damage(url)
        found += (f"{name}: {problem}" for problem in problems)
        try:
            seal = read_seal(url)
            facts = [str(seal.step), f"{seal.bytes / 2**20:.1f}", str(seal.world_size), seal.config_hash]
        except TrainingError:
            facts = ["–"] * 4
        table.add_row(name, *facts, "damaged" if problems else "whole")
    console = Console()
    console.print(table if names else f"{folder}: the run has no checkpoint yet")
    for line in found:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return not found


if __name__ == "__main__":
    from jobs.cli import main

    main("checkpoint")
