"""Which samples of a set take part: sorted ordinals that are worked out where they are needed, not held.

A corpus of 10⁸ faces, or a random half of it, is a few numbers here; a rank asks for the ordinals of the shards it reads.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from pipeline.errors import ConfigError
from pipeline.shards import numbers

_BLOCK = 1 << 16
"""Places whose keys are drawn together."""


class Selection(ABC):
    """Sorted ordinals out of 0 … total − 1."""

    @property
    @abstractmethod
    def total(self) -> int:
        """Samples there are."""

    @abstractmethod
    def __len__(self) -> int:
        """Samples that take part."""

    @abstractmethod
    def ranks(self, edges_E: np.ndarray) -> np.ndarray:
        """(E,) int64: how many of them lie before each of some sorted ordinals out of 0 … total."""

    @abstractmethod
    def within(self, start: int, stop: int) -> np.ndarray:
        """(n,) int64: those out of start … stop − 1."""

    def all(self) -> np.ndarray:
        """(n,) int64: all that take part."""
        return self.within(0, self.total)


@dataclass(frozen=True)
class Everything(Selection):
    """The whole of a set.

    Attributes:
        count: Its samples.
    """

    count: int

    @property
    def total(self) -> int:
        """Samples there are."""
        return self.count

    def __len__(self) -> int:
        return self.count

    def ranks(self, edges_E: np.ndarray) -> np.ndarray:
        """The ordinals themselves."""
        return edges_E

    def within(self, start: int, stop: int) -> np.ndarray:
        """All of them."""
        return np.arange(start, stop, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Listed(Selection):
    """Ordinals that were listed, the same ones perhaps several times.

    Attributes:
        ordinals_N: Sorted, int64.
        of: Samples there are.
    """

    ordinals_N: np.ndarray
    of: int

    @property
    def total(self) -> int:
        """Samples there are."""
        return self.of

    def __len__(self) -> int:
        return len(self.ordinals_N)

    def ranks(self, edges_E: np.ndarray) -> np.ndarray:
        """By bisection."""
        return np.searchsorted(self.ordinals_N, edges_E)

    def within(self, start: int, stop: int) -> np.ndarray:
        """A view."""
        low, high = np.searchsorted(self.ordinals_N, (start, stop))
        return self.ordinals_N[low:high]


@dataclass(frozen=True, eq=False)
class Joined(Selection):
    """Selections out of sets that are read one after another.

    Attributes:
        parts: Of each set, in order.
    """

    parts: Sequence[Selection]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(part.total for part in self.parts)])

    @property
    def total(self) -> int:
        """Samples there are."""
        return int(self._starts[-1])

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def ranks(self, edges_E: np.ndarray) -> np.ndarray:
        """Those of the parts, one upon another."""
        found = np.zeros(len(edges_E), dtype=np.int64)
        for part, start in zip(self.parts, self._starts, strict=False):
            found += part.ranks(np.clip(edges_E - start, 0, part.total))
        return found

    def within(self, start: int, stop: int) -> np.ndarray:
        """Those of the parts."""
        pieces = [np.zeros(0, dtype=np.int64)]
        for part, first in zip(self.parts, self._starts.tolist(), strict=False):
            low, high = max(start - first, 0), min(stop - first, part.total)
            if low < high:
                pieces.append(first + part.within(low, high))
        return np.concatenate(pieces)


@dataclass(frozen=True, eq=False)
class Drawn(Selection):
    """Some of a selection at random, so that for one seed every smaller draw lies inside every larger one; or all others.

    Each place of the base has a random key, and the places of the smallest keys are drawn. Keys are drawn again wherever they
    are needed (PCG64 can start anywhere), so nothing is held but a count for every 65,536 of them.

    Attributes:
        base: What is drawn from.
        count: How many are drawn; at least 1.
        seed: Of the draw, not of the order.
        others: Those that are not drawn take part instead.

    Raises:
        ConfigError: More are asked for than there are.
    """

    base: Selection
    count: int
    seed: int
    others: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.count <= len(self.base):
            raise ConfigError(
                f"a subset of {self.count} samples was asked for, but the set holds {len(self.base)}; "
                f"ask for 1 … {len(self.base)}"
            )

    @property
    def total(self) -> int:
        """Samples there are."""
        return self.base.total

    def __len__(self) -> int:
        return len(self.base) - self.count if self.others else self.count

    def _keys(self, start: int, stop: int) -> np.ndarray:
        return numbers.generator(self.seed, numbers.SUBSET).advance(start).random_raw(stop - start)

    def _window(self, low: int, high: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keys in low … high and their places; and for each block how many keys lie below them all."""
        places: list[np.ndarray] = []
        keys: list[np.ndarray] = []
        below: list[int] = []
        for start in range(0, len(self.base), _BLOCK):
            block = self._keys(start, min(start + _BLOCK, len(self.base)))
            # Of those up to the upper bound all but a few lie below the lower one.
            under = block < np.uint64(low)
            below.append(int(np.count_nonzero(under)))
            near = np.flatnonzero((block <= np.uint64(high)) & ~under)
            places.append(start + near)
            keys.append(block[near])
        return np.concatenate(keys), np.concatenate(places), np.array(below, dtype=np.int64)

    @cached_property
    def _cut(self) -> tuple[np.uint64, int, np.ndarray]:
        """Key and place of the last that is drawn, and the number drawn of each block."""
        share = self.count / len(self.base)
        # The count-th smallest of n uniform keys lies within some standard deviations of count/n; the first try is 8 wide.
        margin = 8 * math.sqrt(share * (1 - share) / len(self.base)) + 16 / len(self.base)
        while True:
            low = max(math.floor((share - margin) * 2.0**64), 0)
            high = min(math.ceil((share + margin) * 2.0**64), 2**64 - 1)
            keys, places, below = self._window(low, high)
            missing = self.count - int(below.sum())
            if 0 < missing <= len(keys):
                break
            margin *= 16
        drawn = np.argsort(keys, kind="stable")[:missing]
        blocks = below + np.bincount(places[drawn] // _BLOCK, minlength=len(below))
        return keys[drawn[-1]], int(places[drawn[-1]]), blocks

    def _takes(self, start: int, stop: int) -> np.ndarray:
        """(stop − start,) bool: which places of the base take part."""
        key, place, _ = self._cut
        keys = self._keys(start, stop)
        taken = keys < key
        equal = np.flatnonzero(keys == key)
        taken[equal] = start + equal <= place
        return ~taken if self.others else taken

    @cached_property
    def _block_ranks(self) -> np.ndarray:
        drawn = self._cut[2]
        if self.others:
            drawn = np.minimum(_BLOCK, len(self.base) - _BLOCK * np.arange(len(drawn))) - drawn
        return np.concatenate([[0], np.cumsum(drawn)])

    def ranks(self, edges_E: np.ndarray) -> np.ndarray:
        """Those of whole blocks are known; the keys of the block that an edge lies in are drawn."""
        places = self.base.ranks(edges_E)
        blocks = places // _BLOCK
        found = self._block_ranks[blocks]
        for low, high in pairwise(np.flatnonzero(np.diff(blocks, prepend=-1, append=-1)).tolist()):
            first, last = int(blocks[low]) * _BLOCK, int(places[high - 1])
            if last > first:
                taken = np.cumsum(self._takes(first, last))
                found[low:high] += np.concatenate([[0], taken])[places[low:high] - first]
        return found

    def within(self, start: int, stop: int) -> np.ndarray:
        """Those of the base whose keys are drawn."""
        ordinals = self.base.within(start, stop)
        first = int(self.base.ranks(np.array([start]))[0])
        return ordinals[self._takes(first, first + len(ordinals))]


def draw(base: Selection, count: int | None, seed: int) -> Selection:
    """``count`` of a selection, nested; all of it for None.

    Raises:
        ConfigError: More are asked for than there are.
    """
    return base if count is None else Drawn(base, count, seed)


def nested_subset(total: int, count: int | None, seed: int) -> np.ndarray:
    """Choose ``count`` of ``total`` samples so that, for one seed, every smaller choice lies inside every larger one.

    Args:
        total: Samples in the set.
        count: How many to keep; None keeps all.
        seed: Of the subset, not of the order.

    Returns:
        Sorted ordinals, int64.

    Raises:
        ConfigError: More are asked for than there are.
    """
    return draw(Everything(total), count, seed).all()
