"""Random numbers of the order of samples: the raw output of PCG64 by key, which NumPy guarantees to be stable across releases.

``Generator``'s derived distributions are not.
"""

from __future__ import annotations

import numpy as np

# Domains, the last part of a key: no two uses share a generator.
SHARDS, SAMPLES, BUFFER, SUBSET, BALANCE = 1, 2, 3, 4, 5


def generator(*key: int) -> np.random.PCG64:
    """The generator of a key."""
    return np.random.PCG64(np.random.SeedSequence(key))


def permutation(n: int, *key: int) -> np.ndarray:
    """(n,) int64 permutation."""
    return np.argsort(generator(*key).random_raw(n), kind="stable").astype(np.int64)
