"""A set from its beginning to its end, once: what is measured on, not what is trained on."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.shards.loader import Batch, Quarantine, collate
from pipeline.shards.manifest import join, load_manifest, manifest_url, parent
from pipeline.shards.read import iterate_shard
from pipeline.shards.stream import StreamSample


def sequential_batches(
    manifest: str, batch: int, *, rank: int = 0, world_size: int = 1, max_bad_share: float = 0.01
) -> Iterator[Batch]:
    """A rank's share of a set, once, in manifest order: samples i with i mod W = r. The last batch may be smaller."""
    url = manifest_url(manifest)
    loaded = load_manifest(url)
    quarantine = Quarantine(max_bad_share)
    size, landmarks = loaded.crop.size, loaded.num_landmarks
    samples: list[StreamSample] = []
    index = 0
    for shard in loaded.shards:
        for raw in iterate_shard(join(parent(url), shard.path)):
            if index % world_size == rank:
                samples.append(StreamSample(index, index, raw))
            index += 1
            if len(samples) == batch:
                yield collate(samples, size, landmarks, quarantine)
                samples = []
    if samples:
        yield collate(samples, size, landmarks, quarantine)
