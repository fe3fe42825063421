"""The order of samples: a pure function of (seed, epoch, C), whatever the number of workers.

WebDataset gives up exactness and mid-epoch resume; this does not. A set of N samples is dealt to C *canonical streams*; C is
a fixed number (config), not the number of workers. Within an epoch, sample j is the next of stream ``j mod C``. Counted over
all epochs, global sample i lies in epoch ``i // N`` at ``j = i mod N``; global batch t holds samples tB … (t+1)B − 1; rank r
of W serves those with ``i mod W = r``. Where W divides C these come, within an epoch, from a fixed set of streams, so every
such world size sees the same global batches, and the position in a set is the single integer i.

Every epoch is an exact permutation of the set: nothing is dropped, nothing is padded; a batch may straddle two epochs. A
*balanced* order (``Balance``) takes as many samples of every group: of the larger ones another choice each epoch, or the smaller
ones repeatedly. Which they are is a function of (seed, epoch), too, and an epoch's number of samples stays the same.

Two ways to deal:
- *by shard* (at least C shards): the shards in shuffled order form one sequence, cut into C contiguous pieces that differ by
  at most one sample; each piece passes a bounded shuffle buffer with its own generator. A stream reads its tars front to back.
- *by sample* (fewer shards than C): one permutation of all samples, dealt round robin. Needs the set in memory.

A rank holds a few numbers for each shard and works out the ordinals of its own streams alone, from the shuffled shards' counts:
10⁸ samples in 10⁵ shards take a fraction of a second and 50 MB (``landmarks bench plan``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from pipeline.errors import ConfigError
from pipeline.shards import numbers
from pipeline.shards.selection import Everything, Listed, Selection, draw

_DRAWS = 1 << 14
"""Steps of a shuffle buffer whose random numbers are drawn together."""


def shuffle_buffer(ordinals: np.ndarray, capacity: int, *key: int) -> Iterator[int]:
    """Pass a sequence through a bounded shuffle buffer.

    The n-th output is among the first n + capacity inputs, which bounds what a reader has to hold.

    Args:
        ordinals: (n,) the sequence.
        capacity: Samples held; 1 leaves the order as it is.
        key: Of the generator.

    Yields:
        Each entry once.
    """
    generator = numbers.generator(*key)
    held = ordinals[:capacity].tolist()
    for start in range(capacity, len(ordinals), _DRAWS):
        arriving = ordinals[start : start + _DRAWS].tolist()
        for number, incoming in zip(generator.random_raw(len(arriving)).tolist(), arriving, strict=True):
            slot = number % capacity
            yield held[slot]
            held[slot] = incoming
    for number in generator.random_raw(len(held)).tolist():
        slot = number % len(held)
        held[slot], held[-1] = held[-1], held[slot]
        yield held.pop()


@dataclass(frozen=True, eq=False)
class Balance:
    """Groups of samples, e.g. of one pose, of which an epoch takes equally many.

    Attributes:
        group: (n,) int64 group of each sample that takes part, in the order of ``Order.ordinals``.
        kind: ``undersample`` to the smallest group, another choice of the larger ones in each epoch (Rayhan et al. 2020); or
            ``replicate`` the smaller ones up to the largest (Feng et al. 2018).
        per_group: Samples of each group in an epoch, instead of the smallest's or the largest's size: larger groups are then
            thinned out, smaller ones repeated.
    """

    group: np.ndarray
    kind: Literal["undersample", "replicate"]
    per_group: int | None = None

    @cached_property
    def members(self) -> list[np.ndarray]:
        """Places of each group's samples."""
        return [np.flatnonzero(self.group == g) for g in np.unique(self.group)]

    @property
    def share(self) -> int:
        """Samples of each group in an epoch."""
        if self.per_group is not None:
            return self.per_group
        sizes = [len(m) for m in self.members]
        return min(sizes) if self.kind == "undersample" else max(sizes)

    def choose(self, seed: int, epoch: int) -> np.ndarray:
        """Sorted places of an epoch's samples, repeated ones as often as they are repeated."""
        parts = []
        for group, members in enumerate(self.members):
            whole, rest = divmod(self.share, len(members))
            extra = members[numbers.permutation(len(members), seed, epoch, group, numbers.BALANCE)[:rest]]
            parts += [np.repeat(members, whole), extra]
        return np.sort(np.concatenate(parts))


@dataclass(frozen=True, eq=False)
class _Epoch:
    """The sequence that an epoch's streams are cut from: shards in shuffled order.

    Attributes:
        number: Of the epoch.
        chosen: The ordinals that take part.
        shards: (n,) int64, their order.
        bounds: (n + 1,) int64, where each begins in the sequence.
    """

    number: int
    chosen: Selection
    shards: np.ndarray
    bounds: np.ndarray


@dataclass(eq=False)
class Order:
    """The order of one set's samples, for any epoch.

    A sample is named by its *ordinal*: its place in the manifest, shards in manifest order.

    Attributes:
        shard_samples: Samples in each shard, manifest order.
        streams: C, the number of canonical streams.
        seed: Of the order.
        buffer: Capacity of each stream's shuffle buffer, samples.
        selection: The ordinals that take part; None for all.
        balance: Groups of the samples that take part; None takes every sample once an epoch.
    """

    shard_samples: tuple[int, ...]
    streams: int
    seed: int
    buffer: int = 256
    selection: Selection | None = None
    balance: Balance | None = None

    def __post_init__(self) -> None:
        self._epoch_now: _Epoch | None = None
        if self.streams < 1 or self.buffer < 1:
            raise ConfigError("fields 'streams' and 'shuffle_buffer' must be at least 1")
        if len(self._selected) == 0:
            raise ConfigError("an order needs at least one sample")
        if self.balance is not None and len(self.balance.group) != len(self._selected):
            raise ConfigError(
                f"{len(self.balance.group)} groups were given for {len(self._selected)} samples"
            )

    @cached_property
    def _shard_starts(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.shard_samples)]).astype(np.int64)

    @cached_property
    def _selected(self) -> Selection:
        return Everything(int(self._shard_starts[-1])) if self.selection is None else self.selection

    @cached_property
    def _shard_counts(self) -> np.ndarray:
        return np.diff(self._selected.ranks(self._shard_starts))

    @cached_property
    def samples(self) -> int:
        """N: samples an epoch holds, repeated ones counted as often."""
        if self.balance is None:
            return len(self._selected)
        return self.balance.share * len(self.balance.members)

    def _epoch(self, epoch: int) -> _Epoch:
        # Every stream of an epoch cuts its piece from the same sequence.
        if self._epoch_now is None or self._epoch_now.number != epoch:
            chosen, counts = self._selected, self._shard_counts
            if self.balance is not None:
                chosen = Listed(chosen.all()[self.balance.choose(self.seed, epoch)], chosen.total)
                counts = np.diff(chosen.ranks(self._shard_starts))
            shards = numbers.permutation(len(self.shard_samples), self.seed, epoch, numbers.SHARDS)
            self._epoch_now = _Epoch(epoch, chosen, shards, np.concatenate([[0], np.cumsum(counts[shards])]))
        return self._epoch_now

    @cached_property
    def by_sample(self) -> bool:
        """Whether the set is too small to be dealt by shard."""
        return int(np.count_nonzero(self._shard_counts)) < self.streams

    def shard_of(self, ordinals: np.ndarray) -> np.ndarray:
        """Index of the shard that holds each ordinal."""
        return np.searchsorted(self._shard_starts, ordinals, side="right") - 1

    def offset_of(self, ordinals: np.ndarray) -> np.ndarray:
        """Place of each ordinal within its shard."""
        return ordinals - self._shard_starts[self.shard_of(ordinals)]

    def ordinals(self) -> np.ndarray:
        """Sorted ordinals of all samples that take part, in some epoch or other."""
        return self._selected.all()

    def stream_length(self, stream: int) -> int:
        """Samples that one stream yields in an epoch: N/C, rounded up for the first N mod C streams."""
        return self.samples // self.streams + (1 if stream < self.samples % self.streams else 0)

    def stream_sequence(self, epoch: int, stream: int) -> np.ndarray:
        """Ordinals in the order a stream *reads* them, before its shuffle buffer (by shard) or as it yields them (by sample)."""
        drawn = self._epoch(epoch)
        if self.by_sample:
            places = numbers.permutation(self.samples, self.seed, epoch, numbers.SAMPLES)
            return drawn.chosen.all()[places[stream :: self.streams]]
        start = stream * (self.samples // self.streams) + min(stream, self.samples % self.streams)
        stop = start + self.stream_length(stream)
        first = int(np.searchsorted(drawn.bounds, start, side="right")) - 1
        last = int(np.searchsorted(drawn.bounds, stop, side="left"))
        pieces = [
            drawn.chosen.within(*self._shard_starts[shard : shard + 2].tolist())
            for shard in drawn.shards[first:last].tolist()
        ]
        before = int(drawn.bounds[first])
        return np.concatenate([np.zeros(0, np.int64), *pieces])[start - before : stop - before]

    def stream_order(self, epoch: int, stream: int) -> Iterator[int]:
        """Ordinals in the order a stream *yields* them in an epoch."""
        sequence = self.stream_sequence(epoch, stream)
        if self.by_sample:
            return iter(sequence.tolist())
        return shuffle_buffer(sequence, self.buffer, self.seed, epoch, stream, numbers.BUFFER)

    def positions(self, start: int, rank: int, world_size: int) -> Iterator[tuple[int, int, int]]:
        """The global samples a rank serves from a position on, without end.

        Args:
            start: Global samples already consumed by all ranks; a multiple of ``world_size``.
            rank: r.
            world_size: W.

        Yields:
            (global index i, epoch, stream).
        """
        index = start + rank
        while True:
            epoch, within = divmod(index, self.samples)
            yield index, epoch, within % self.streams
            index += world_size


def order_for(
    shard_samples: Sequence[int],
    *,
    streams: int,
    seed: int,
    buffer: int,
    count: int | None = None,
    subset_seed: int = 0,
    balance: Balance | None = None,
) -> Order:
    """An order over a whole set, or over a nested subset of ``count`` samples; ``balance`` has the groups of these."""
    selection = None if count is None else draw(Everything(sum(shard_samples)), count, subset_seed)
    return Order(tuple(shard_samples), streams, seed, buffer, selection, balance)


def check_world_size(world_size: int, streams: int, batch: int) -> None:
    """Refuse a world size under which the global batches could not be served.

    Raises:
        ConfigError: W does not divide C, or does not divide B.
    """
    if streams % world_size:
        raise ConfigError(
            f"{world_size} workers do not divide data.streams = {streams}: the order of samples would depend on the number of "
            f"workers; use a number of workers that divides {streams}, or set data.streams to a multiple of {world_size}"
        )
    if batch % world_size:
        raise ConfigError(
            f"batch of {batch} cannot be shared evenly by {world_size} workers; use a multiple of {world_size}"
        )
