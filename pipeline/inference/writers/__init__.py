"""Writers of predictions, a format a file; each module's ``WRITER`` is found by the module's name."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import PurePosixPath

from pipeline.errors import ConfigError, did_you_mean
from pipeline.inference.writers.base import Writer

_BY_SUFFIX = {".csv": "csv", ".json": "coco"}


def formats() -> list[str]:
    """Names of the formats, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def format_of(out: str) -> str:
    """The format that the name of a file asks for; JSON lines where it asks for none."""
    return _BY_SUFFIX.get(PurePosixPath(out).suffix.lower(), "jsonl")


def find_writer(name: str) -> type[Writer]:
    """The writer of a format.

    Raises:
        ConfigError: No such format.
    """
    if name not in formats():
        raise ConfigError(
            f"no format '{name}': {did_you_mean(name, formats())}known are {', '.join(formats())}"
        )
    writer: type[Writer] = importlib.import_module(f"{__name__}.{name}").WRITER
    return writer
