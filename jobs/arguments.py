"""Arguments that several verbs take, as the command line declares them."""

from __future__ import annotations

from typing import Annotated

import typer

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="experiment YAML")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="dotted overrides, e.g. training.epochs=40")
]
ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="run folder, model folder, config YAML or models:/NAME@ALIAS")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object, for programs")]
