"""Arguments that several verbs take, as the command line declares them."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="experiment YAML")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="dotted overrides, e.g. training.epochs=40")
]
