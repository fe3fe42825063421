"""``landmarks new``, as the command line declares it."""

from __future__ import annotations

from typing import Annotated

import typer

new = typer.Typer(help="Write files to begin with.", no_args_is_help=True)


@new.command("experiment")
def experiment(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of an experiment that comes with the project")],
    folder: Annotated[str, typer.Option("--in", help="folder that gets configs/")] = ".",
) -> None:
    """Copy an experiment and the pieces it is made of, comments and all, to be edited."""
    from jobs.new import new_experiment

    new_experiment(name, folder=folder)


@new.command("data")
def data(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="a file that an annotation tool exported, or a folder")
    ],
    folder: Annotated[str, typer.Option("--in", help="folder that gets configs/")] = ".",
    name: Annotated[
        str | None, typer.Option(help="of the experiment; default: as the file or folder")
    ] = None,
    images: Annotated[
        str | None, typer.Option(help="folder of the images, where it is not beside the annotations")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="the annotated things' label or category, where there are several")
    ] = None,
) -> None:
    """Look at annotations and write a commented config for them, with a markup: COCO, CVAT, Label Studio, CSV, .pts, imglab."""
    from jobs.new import new_data

    new_data(path, folder=folder, name=name, images=images, label=label)
