"""The verbs that look ahead and around, and change nothing, as the command line declares them; it adds them to its own."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.arguments import AsJson, ConfigArgument, Overrides


def plan(
    config: ConfigArgument,
    overrides: Overrides = None,
    steps: Annotated[int, typer.Option(min=10, help="steps of a training to time")] = 30,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="processes of a preparation; default: one per core of this machine"),
    ] = None,
) -> None:
    """What a config will take: hours, memory, reads and storage, from a short run here of what it asks for."""
    from rich.console import Console

    from jobs.plan import plan as run
    from jobs.settings import experiment

    run(experiment(config, overrides or []), steps=steps, workers=workers, console=Console())


def help_(
    kind: Annotated[
        str | None, typer.Argument(help="reader, loss, model, …; without it all kinds are listed")
    ] = None,
    name: Annotated[str | None, typer.Argument(help="of a part; without it the kind's are listed")] = None,
) -> None:
    """The parts that a config can name, and the keys of each with types, defaults and meanings."""
    from jobs.help import show

    show(kind, name)


def doctor(
    config: Annotated[
        str | None, typer.Argument(metavar="CONFIG", help="experiment that is to work there")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Whether this machine, or each node of RAY_ADDRESS's cluster, can do what a config asks; what to do where not."""
    from jobs.doctor import doctor as run
    from jobs.settings import experiment

    chosen = None if config is None else experiment(config, overrides or [])
    raise typer.Exit(run(chosen, as_json=as_json))
