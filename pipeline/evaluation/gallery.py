"""The faces a report shows: each run's best, median and worst, on the same faces for every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# Failures teach most, a best face least.
COUNTS: Mapping[str, int] = {"worst": 3, "median": 2, "best": 1}


@dataclass(frozen=True)
class Choice:
    """A face worth showing.

    Attributes:
        key: The sample's key.
        reasons: Kind (``worst``, ``median``, ``best``) and run for which it was chosen.
    """

    key: str
    reasons: tuple[tuple[str, str], ...]


def common_keys(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Sorted keys that every run has."""
    shared = keys[0]
    for more in keys[1:]:
        shared = np.intersect1d(shared, more)
    return np.unique(shared)


def choose_faces(
    nme: Mapping[str, np.ndarray], keys_N: np.ndarray, counts: Mapping[str, int] = COUNTS
) -> list[Choice]:
    """Choose faces by each run's own ranking.

    Args:
        nme: Run name → (N,) NME ratios of the faces ``keys_N``; faces undefined in any run are not chosen.
        keys_N: (N,) keys.
        counts: Kind → faces per run; kinds are ``worst``, ``median`` and ``best``.

    Returns:
        Each face once, with all its reasons, ordered by kind and then by run.
    """
    usable = np.flatnonzero(~np.isnan(np.stack(list(nme.values()))).any(axis=0))
    reasons: dict[str, list[tuple[str, str]]] = {}
    for kind, wanted in counts.items():
        count = min(wanted, len(usable))
        for run, values in nme.items():
            # Ties are broken by key, so that the same predictions always show the same faces.
            order = usable[np.lexsort((keys_N[usable], values[usable]))]
            middle = (len(order) - count) // 2
            picked = {
                "best": order[:count],
                "median": order[middle : middle + count],
                "worst": order[::-1][:count],
            }[kind]
            for index in picked:
                reasons.setdefault(str(keys_N[index]), []).append((kind, run))
    return [Choice(key, tuple(why)) for key, why in reasons.items()]
