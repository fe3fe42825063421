"""Left and right in the names of landmarks: which of them swap when an image is mirrored."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}


def pairs_by_name(names: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
    """Pairs of landmarks whose names differ in their side alone: ``left_ear``, ``right_ear``; ``earL``, ``earR``.

    Args:
        names: In the landmarks' order.

    Returns:
        (lower, higher) pairs, sorted, if every name with a side has exactly one partner; those without map to themselves. None
        if no name has a side, or one has no partner or several.
    """
    found: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for landmark, name in enumerate(names):
        words = [word.lower() for word in _WORDS.findall(name)]
        sides = [place for place, word in enumerate(words) if word in _SIDES]
        if not sides:
            continue
        if len(sides) > 1:  # the left corner of the right eye: another name may mean the same
            return None
        key = (*words[: sides[0]], "", *words[sides[0] + 1 :])
        found.setdefault(key, {}).setdefault(_SIDES[words[sides[0]]], []).append(landmark)
    groups = [(sides.get("left", []), sides.get("right", [])) for sides in found.values()]
    if not groups or any(len(left) != 1 or len(right) != 1 for left, right in groups):
        return None
    return tuple(sorted((min(a, b), max(a, b)) for (a,), (b,) in groups))
