"""How values, keys and durations are written."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pipeline.training.config.tune import Value


def show(value: Value, digits: int = 4) -> str:
    """A value as one would type it; of a float so many significant digits."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return str(value)


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Each dotted key's shortest telling ending that no other key shares: ``optimizer.lr`` → ``lr``."""
    parts = {key: key.split(".") for key in keys}
    short = {}
    for key, own in parts.items():
        for count in range(1, len(own) + 1):
            tail = own[-count:]
            if tail != ["name"] and all(
                other[-count:] != tail for name, other in parts.items() if name != key
            ):
                break
        short[key] = ".".join(tail)
    return short


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
