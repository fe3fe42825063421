"""A rank's samples in canonical order, read from tars, from any position on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.errors import ConfigError, ShardError
from pipeline.shards.cache import shard_cache
from pipeline.shards.joined import JoinedSet, open_set
from pipeline.shards.order import Order
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.storage import is_local

# A set dealt by sample is held in memory, encoded, by every rank.
IN_MEMORY_LIMIT_BYTES = 2 * 2**30


@dataclass(frozen=True)
class StreamSample:
    """One sample of a stream.

    Attributes:
        index: Global index i; see ``pipeline.shards.order``.
        ordinal: Place in the manifest.
        raw: The encoded sample, or None if its tar could not be read up to it.
        problem: Why not.
    """

    index: int
    ordinal: int
    raw: RawSample | None
    problem: str | None = None


class _Shards:
    """The tars of a set, addressed by shard number."""

    def __init__(self, source: JoinedSet) -> None:
        self._source = source

    def ahead(self, shard: int) -> None:
        """Fetch a shard that will be read next, if it has to come from an object store."""
        url = self._source.url(shard)
        if not is_local(url):
            shard_cache().ahead(url)

    def read(self, shard: int, offsets: np.ndarray) -> Iterator[tuple[int, RawSample | None, str | None]]:
        """Yield (offset, sample, problem) for sorted offsets of one shard, reading front to back, no further than needed.

        An offset that is wanted several times comes as often.
        """
        wanted, url = iter(offsets.tolist()), self._source.url(shard)
        offset = next(wanted, None)
        problem: str | None = None
        try:
            for place, raw in enumerate(iterate_shard(url)):
                if offset is None:
                    return
                while place == offset:
                    yield place, raw, None
                    offset = next(wanted, None)
            problem = f"{url}: holds fewer samples than the manifest says"
        except (ShardError, OSError) as error:
            problem = str(error)
        while offset is not None:
            yield offset, None, problem
            offset = next(wanted, None)


class _ShardStream:
    """One canonical stream in one epoch, dealt by shard: reads ahead as far as its shuffle buffer reaches."""

    def __init__(self, shards: _Shards, order: Order, epoch: int, stream: int, skip: int) -> None:
        self._yielded = order.stream_order(epoch, stream)
        sequence = order.stream_sequence(epoch, stream)
        done = np.fromiter((next(self._yielded) for _ in range(skip)), np.int64, skip)
        self._incoming = self._read(shards, order, _without(sequence, done))
        # A balanced order may hold a sample several times at once.
        self._held: dict[int, list[tuple[RawSample | None, str | None]]] = {}

    @staticmethod
    def _read(
        shards: _Shards, order: Order, pending: np.ndarray
    ) -> Iterator[tuple[int, RawSample | None, str | None]]:
        # Whole shards of which nothing is pending never appear here: a resume skips them unread.
        of, offsets = order.shard_of(pending), order.offset_of(pending)
        bounds = np.flatnonzero(np.diff(of, prepend=-1, append=-1)).tolist()
        for low, high in pairwise(bounds):
            if high < len(of):
                shards.ahead(int(of[high]))
            base = int(pending[low] - offsets[low])
            for offset, raw, problem in shards.read(int(of[low]), offsets[low:high]):
                yield base + offset, raw, problem

    def __next__(self) -> tuple[int, RawSample | None, str | None]:
        ordinal = next(self._yielded)
        while ordinal not in self._held:
            arrived, raw, problem = next(self._incoming)
            self._held.setdefault(arrived, []).append((raw, problem))
        raw, problem = self._held[ordinal].pop()
        if not self._held[ordinal]:
            del self._held[ordinal]
        return ordinal, raw, problem


def _without(sequence: np.ndarray, done: np.ndarray) -> np.ndarray:
    """The sequence less the entries that are done, as often as they are."""
    if not len(done):
        return sequence
    # Copies of a sample are neighbours in what a stream reads.
    first = np.flatnonzero(np.diff(sequence, prepend=-1))
    ordinals, copies = sequence[first], np.diff(first, append=len(sequence))
    values, times = np.unique(done, return_counts=True)
    by = np.argsort(ordinals)
    copies[by[np.searchsorted(ordinals, values, sorter=by)]] -= times
    return np.repeat(ordinals, copies)


class SampleStream:
    """A rank's share of a prepared set, without end, in canonical order.

    Args:
        source: Folder of the prepared set or its manifest, local path or URL; or sets read as one.
        order: The order of its samples.
        rank: r.
        world_size: W; must divide the order's number of streams.
        start: Position: global samples already consumed.

    Raises:
        ManifestError: The manifest cannot be used.
        ConfigError: The set has fewer shards than streams and is too large to be held in memory.
    """

    def __init__(
        self, source: str | JoinedSet, order: Order, *, rank: int = 0, world_size: int = 1, start: int = 0
    ) -> None:
        self.source = source if isinstance(source, JoinedSet) else open_set(source)
        self.order, self.rank, self.world_size, self.start = order, rank, world_size, start
        self._shards = _Shards(self.source)
        if self.source.shard_samples != order.shard_samples:
            raise ConfigError(
                f"{self.source.title}: the order was made for other shards than are listed there"
            )
        if order.by_sample and self.source.bytes > IN_MEMORY_LIMIT_BYTES:
            raise ConfigError(
                f"{self.source.title}: {len(order.shard_samples)} shards are fewer than data.streams = {order.streams}, so the "
                f"set would be held in memory, but it is {self.source.bytes / 2**30:.1f} GiB; prepare it with a smaller "
                "samples_per_shard, or lower data.streams"
            )

    def __iter__(self) -> Iterator[StreamSample]:
        return self._dealt_by_sample() if self.order.by_sample else self._dealt_by_shard()

    def _dealt_by_sample(self) -> Iterator[StreamSample]:
        held = self._load_all()
        epoch_now: int = -1
        sequences: dict[int, np.ndarray] = {}
        for index, epoch, stream in self.order.positions(self.start, self.rank, self.world_size):
            if epoch != epoch_now:
                epoch_now, sequences = epoch, {}
            if stream not in sequences:
                sequences[stream] = self.order.stream_sequence(epoch, stream)
            ordinal = int(sequences[stream][(index % self.order.samples) // self.order.streams])
            raw, problem = held[ordinal]
            yield StreamSample(index, ordinal, raw, problem)

    def _load_all(self) -> dict[int, tuple[RawSample | None, str | None]]:
        ordinals = self.order.ordinals()
        held: dict[int, tuple[RawSample | None, str | None]] = {}
        of, offsets = self.order.shard_of(ordinals), self.order.offset_of(ordinals)
        for shard in np.unique(of):
            chosen = of == shard
            base = int(ordinals[chosen][0] - offsets[chosen][0])
            for offset, raw, problem in self._shards.read(int(shard), offsets[chosen]):
                held[base + offset] = (raw, problem)
        return held

    def _dealt_by_shard(self) -> Iterator[StreamSample]:
        epoch_now: int = -1
        streams: dict[int, _ShardStream] = {}
        for index, epoch, stream in self.order.positions(self.start, self.rank, self.world_size):
            if epoch != epoch_now:
                epoch_now, streams = epoch, {}
            if stream not in streams:
                skip = (index % self.order.samples) // self.order.streams
                streams[stream] = _ShardStream(self._shards, self.order, epoch, stream, skip)
            ordinal, raw, problem = next(streams[stream])
            yield StreamSample(index, ordinal, raw, problem)
