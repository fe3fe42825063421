"""One rank's side of ``landmarks bench plan``, in a process of its own: from a manifest to the first sample it would read."""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import islice

import psutil

from pipeline.shards.joined import open_set
from pipeline.shards.order import order_for
from pipeline.shards.stream import SampleStream


def measure(
    folder: str, *, streams: int, rank: int, ranks: int, start: int, count: int | None
) -> dict[str, float]:
    """Seconds and MiB up to the first sample of each of a rank's streams; shards that are not there give samples that say so.

    Args:
        folder: Of the manifest.
        streams: C.
        rank: r.
        ranks: W.
        start: Global samples already consumed.
        count: Samples of the set that take part; None for all.

    Returns:
        Seconds of the manifest, of the order and of both; ``cpu_seconds`` of both; ``mib`` on top of the libraries, at most.
    """
    before = psutil.Process().memory_info().rss
    began, working = time.perf_counter(), time.process_time()
    source = open_set(folder)
    loaded = time.perf_counter()
    order = order_for(source.shard_samples, streams=streams, seed=0, buffer=256, count=count)
    stream = SampleStream(source, order, rank=rank, world_size=ranks, start=start)
    first = [sample.index for sample in islice(stream, streams // ranks)]
    done, worked = time.perf_counter(), time.process_time() - working
    assert first == list(range(start + rank, start + streams, ranks))
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "manifest_seconds": round(loaded - began, 3),
        "order_seconds": round(done - loaded, 3),
        "seconds": round(done - began, 3),
        "cpu_seconds": round(worked, 3),
        "mib": round((peak - before) / 2**20, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(**json.load(sys.stdin))))
