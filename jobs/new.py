"""``landmarks new``: files to begin with."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.datasets.sniff import sniff
from pipeline.datasets.sniff.own import own_data
from pipeline.training.config.own_data import Written, name_for, places, write_own
from pipeline.training.config.shipped import copy_experiment
from pipeline.words import counted


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


def new_data(
    path: str,
    *,
    folder: str = ".",
    name: str | None = None,
    images: str | None = None,
    label: str | None = None,
    console: Console | None = None,
) -> Written:
    """Write a config, and a markup where none of the packaged ones fits, for annotations of the user's own.

    Args:
        path: An export, or a folder.
        folder: Gets ``configs/``.
        name: Of the experiment; None for one made of the path.
        images: Folder of the images, where it is not beside the annotations.
        label: The annotated things' label, where there are several.
        console: Where to print what was found, what was written, and the next commands.

    Raises:
        DataError: Nothing that can be read, or several things; no annotation that can be used.
        ConfigError: One of the files is there already.
    """
    console = console or Console()

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    name = name or name_for(path)
    places(name, Path(folder))  # before anything large is read
    own = own_data(sniff(path, images=images, label=label), name)
    found, seen, markup = own.found, own.survey, own.markup
    named = (
        "numbered" if markup.names is None else ", ".join(markup.names[:6]) + ", …" * (len(markup.names) > 6)
    )
    say(f"{found.path or found.root}: {found.title}")
    say(f"  {counted(seen.count, 'annotation')} in {counted(seen.images, 'image')} below {found.root}")
    say(
        f"  {counted(markup.num_landmarks, 'landmark')} ({named}): markup '{markup.name}'{', a packaged one' * own.packaged}"
    )
    for remark in found.remarks:
        say(f"  {remark}")
    if seen.unusable:
        say(f"  {len(seen.unusable)} more cannot be used and will be left out, e.g. {seen.unusable[0]}")
    written = write_own(own, name, Path(folder))
    for file in filter(None, (written.markup, written.config)):
        say(f"wrote {file}")
    say("next: read it, then")
    for command in (
        f"prepare {written.config}",
        f"verify {written.config}",
        f"train {written.config} --dry-run",
    ):
        say(f"  landmarks {command}")
    return written


if __name__ == "__main__":
    from jobs.cli import main

    main("new")
