"""Readers as a config names them: ``{reader: NAME, …its parameters}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.datasets.face import FaceReader
from pipeline.errors import ConfigError
from pipeline.registry import build_from, check_values, file_of, find, names


def check_reader(spec: Mapping[str, Any]) -> None:
    """Check a reader's name and parameters without opening anything.

    Raises:
        ConfigError: Unknown reader, unknown or ill-typed parameter, a missing one; or a class that is no reader.
    """
    name, parameters = _split(spec)
    check_values("reader", name, parameters)
    if not callable(getattr(find("reader", name), "records", None)):
        raise ConfigError(
            f"reader '{name}' has no method 'records' (see pipeline.datasets.face.FaceReader): add it in "
            f"{file_of('reader', name)}"
        )


def open_reader(spec: Mapping[str, Any]) -> FaceReader:
    """Build a reader from its config.

    Args:
        spec: ``{reader: NAME, **parameters}``; parameters are those of the reader's constructor.

    Raises:
        ConfigError: As ``check_reader``.
        DataError: What the reader's constructor finds wrong, e.g. a missing folder.
    """
    name, parameters = _split(spec)
    reader: FaceReader = build_from("reader", name, parameters)
    return reader


def _split(spec: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if not isinstance(spec.get("reader"), str):
        raise ConfigError(
            f"no field 'reader' among {', '.join(map(str, spec)) or 'nothing'}; known: {', '.join(names('reader'))}"
        )
    return spec["reader"], {str(key): value for key, value in spec.items() if key != "reader"}
