"""A set from its beginning to its end, once: what is measured on, not what is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from pipeline.errors import ShardError
from pipeline.shards.loader import Batch, Quarantine, collate
from pipeline.shards.manifest import Manifest, join, load_manifest, manifest_url, parent
from pipeline.shards.read import iterate_shard
from pipeline.shards.stream import StreamSample


def sequential_batches(
    manifest: str, batch: int, *, rank: int = 0, world_size: int = 1, max_bad_share: float = 0.01
) -> Iterator[Batch]:
    """A rank's share of a set, once, in manifest order: a run of whole batches, of which the set's last may be smaller.

    The batches are the same at any world size, and so, to the bit, is what a network says of them. A rank reads the shards that
    hold its own, no others.

    Args:
        manifest: Of the set, or its folder.
        batch: Samples.
        rank: r.
        world_size: W; ranks beyond the number of batches get none.
        max_bad_share: See ``Quarantine``.
    """
    url = manifest_url(manifest)
    loaded = load_manifest(url)
    quarantine = Quarantine(max_bad_share)
    size, landmarks = loaded.crop.size, loaded.num_landmarks
    start, stop = share_of(-(-loaded.samples // batch), rank, world_size)
    samples: list[StreamSample] = []
    for sample in _between(loaded, parent(url), start * batch, min(stop * batch, loaded.samples)):
        samples.append(sample)
        if len(samples) == batch:
            yield collate(samples, size, landmarks, quarantine)
            samples = []
    if samples:
        yield collate(samples, size, landmarks, quarantine)


def share_of(count: int, rank: int, world_size: int) -> tuple[int, int]:
    """First and end of a rank's run out of ``count``; runs differ by at most one, the first ranks' are the longer."""
    each, more = divmod(count, world_size)
    start = rank * each + min(rank, more)
    return start, start + each + (rank < more)


def _between(manifest: Manifest, folder: str, start: int, stop: int) -> Iterator[StreamSample]:
    """Samples start … stop − 1 in manifest order."""
    ends = np.cumsum(manifest.shards.samples_S)
    ordinal = start
    while ordinal < stop:
        shard = int(np.searchsorted(ends, ordinal, side="right"))
        first, end = int(ends[shard] - manifest.shards.samples_S[shard]), min(int(ends[shard]), stop)
        url = join(folder, manifest.shards.path(shard))
        for raw in islice(iterate_shard(url), ordinal - first, end - first):
            yield StreamSample(ordinal, ordinal, raw)
            ordinal += 1
        if ordinal < end:
            raise ShardError(
                f"{url}: holds {ordinal - first} samples, the manifest says {manifest.shards.samples_S[shard]}; "
                "copy the shard again, or prepare the set again"
            )
