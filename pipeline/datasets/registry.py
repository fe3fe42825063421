"""Readers by name: reader ``foo`` is the module ``pipeline.datasets.foo``, which sets ``READER``.

A new data set is one new file here and nothing else; a name with a dot is a module of the user's own.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

import pipeline.datasets
from pipeline.datasets.face import FaceReader
from pipeline.errors import ConfigError

_INFRASTRUCTURE = frozenset({"face", "image", "registry"})
_CLASS_NAMES = {"synthetic": "SyntheticFaces"}


def reader_names() -> list[str]:
    """All readers there are."""
    found = (module.name for module in pkgutil.iter_modules(pipeline.datasets.__path__))
    return sorted(name for name in found if name not in _INFRASTRUCTURE and not name.startswith("_"))


def _nearest(name: str, known: list[str]) -> str:
    match = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{match[0]}'? Known: {', '.join(known)}" if match else f"known: {', '.join(known)}"


def reader_class(name: str) -> Any:
    """The class behind a reader's name.

    Raises:
        ConfigError: No such reader; the message names the nearest.
    """
    if name not in reader_names() and "." not in name:
        raise ConfigError(f"field 'reader': no reader '{name}'; {_nearest(str(name), reader_names())}")
    try:
        module = importlib.import_module(name if "." in name else f"pipeline.datasets.{name}")
    except ModuleNotFoundError as error:
        raise ConfigError(f"field 'reader': {error}; install it, or correct the name") from error
    reader = getattr(module, "READER", None) or getattr(module, _CLASS_NAMES.get(name, ""), None)
    if reader is None:
        raise ConfigError(
            f"{module.__file__}: sets no READER; a reader's module ends with 'READER = ItsClass'"
        )
    return reader


def check_reader_spec(spec: Mapping[str, Any]) -> None:
    """Check a reader's name and parameters without opening anything.

    Raises:
        ConfigError: Unknown reader, unknown parameter (with the nearest match), or a missing one.
    """
    if "reader" not in spec:
        raise ConfigError(
            f"no field 'reader' among {', '.join(map(str, spec)) or 'nothing'}; "
            f"known: {', '.join(reader_names())}"
        )
    parameters = inspect.signature(reader_class(spec["reader"])).parameters
    given = {key for key in spec if key != "reader"}
    for key in sorted(given - parameters.keys()):
        raise ConfigError(
            f"reader '{spec['reader']}' has no parameter '{key}'; {_nearest(str(key), list(parameters))}"
        )
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in given:
            raise ConfigError(f"reader '{spec['reader']}' needs the parameter '{key}'")


def open_reader(spec: Mapping[str, Any]) -> FaceReader:
    """Build a reader from its config.

    Args:
        spec: ``{reader: NAME, **parameters}``; parameters are those of the reader's constructor.

    Raises:
        ConfigError: As ``check_reader_spec``.
        DataError: What the reader's constructor finds wrong, e.g. a missing folder.
    """
    check_reader_spec(spec)
    parameters = {str(key): value for key, value in spec.items() if key != "reader"}
    reader: FaceReader = reader_class(spec["reader"])(**parameters)
    return reader
