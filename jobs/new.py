"""``landmarks new``: files to begin with."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.training.config.shipped import copy_experiment


def new_experiment(name: str, *, folder: str = ".", console: Console | None = None) -> list[Path]:
    """Copy an experiment that comes with the project, with its pieces.

    Args:
        name: Of the experiment.
        folder: Gets ``configs/``.
        console: Where to print what was written, and the next command.

    Raises:
        ConfigError: No such experiment, or it is there already.
    """
    console, files = console or Console(), copy_experiment(name, Path(folder))
    for file in files:
        console.print(f"wrote {file}", highlight=False, soft_wrap=True)
    console.print(
        f"next: edit it, then landmarks prepare {files[0]}, landmarks train {files[0]} --dry-run",
        highlight=False,
        soft_wrap=True,
    )
    return files


if __name__ == "__main__":
    from jobs.cli import main

    main("new")
