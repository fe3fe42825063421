"""Nested plain data, as configs and records are dumped: by dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every value by its dotted key.

    Args:
        nested: Mappings within mappings; lists are values.
        prefix: Put before each key.

    Returns:
        In the order of ``nested``. An empty mapping is a value: nothing that was written is lost.
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
