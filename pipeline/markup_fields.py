"""The fields of a markup's YAML, checked and brought into the forms that they are kept in."""

from __future__ import annotations

from typing import Any

from pipeline.errors import ConfigError


def check_fields(raw: dict[str, Any], known: set[str], where: str) -> None:
    """Refuse fields that nobody reads.

    Raises:
        ConfigError: There is one.
    """
    unknown = sorted(map(str, set(raw) - known))
    if unknown:
        raise ConfigError(
            f"{where}: unknown field {unknown[0]!r}; known fields are {', '.join(sorted(known))}"
        )


def check_required(raw: dict[str, Any]) -> None:
    """Refuse a markup without the fields without default, and the list of partners that some tools write for pairs.

    Raises:
        ConfigError: It is one.
    """
    for field in ("name", "num_landmarks"):
        if field not in raw:
            raise ConfigError(f"field '{field}' is missing; add it")
    pairs = raw.get("flip_pairs")
    if pairs is None:
        return
    if isinstance(pairs, list) and pairs and all(type(entry) is int for entry in pairs):
        found = [[a, b] for a, b in enumerate(pairs) if a < b < len(pairs) and pairs[b] == a]
        raise ConfigError(
            "field 'flip_pairs' is a list of indices, expected pairs of landmarks: each landmark's partner in a list means "
            f"{found}"
        )
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise ConfigError("field 'flip_pairs' is no list of pairs; write [[0, 1], [2, 3]] or []")


def tuple_or_none(entries: Any) -> Any:
    """A list as it is kept; None for none."""
    return tuple(entries) if entries else None


def tuples(entries: Any) -> Any:
    """A list of lists as it is kept; None for none."""
    return tuple(tuple(entry) for entry in entries) if entries else None


def group(entry: Any) -> tuple[int, ...]:
    """A mapping's entry: a landmark, several whose mean counts, or null."""
    if entry is None:
        return ()
    return tuple(entry) if isinstance(entry, list) else (entry,)
