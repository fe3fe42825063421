"""``landmarks bench plan``: what the order of a large set's samples costs each rank, before it reads the first of them.

The set is a manifest alone: no image is needed to know which comes next.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from jobs.bench.figures import run_python, write_csv
from pipeline.errors import ConfigError
from pipeline.shards.manifest import CropPolicy, Manifest, dump_manifest, manifest_url
from pipeline.shards.shard_list import ShardList
from pipeline.storage import write_text

_BYTES_PER_SAMPLE = 5000


def corpus(samples: int, shards: int) -> Manifest:
    """An unlabelled corpus of that size, of shards that differ by at most one sample."""
    samples_S = np.full(shards, samples // shards, dtype=np.int64)
    samples_S[: samples % shards] += 1
    digests = b"".join(hashlib.sha256(number.to_bytes(8)).digest() for number in range(shards))
    names = [f"faces-0a1b2c3d-{number:06d}.tar" for number in range(shards)]
    return Manifest(
        name="faces",
        role="unlabelled",
        split="train",
        markup=None,
        num_landmarks=0,
        crop=CropPolicy(points="detector", side_factor=3.0, size=80, jpeg_quality=95),
        samples=samples,
        shards=ShardList(names, samples_S, samples_S * _BYTES_PER_SAMPLE, digests),
        source={"reader": "none"},
        config_hash="0" * 64,
    )


def bench(*, samples: int, shards: Sequence[int], ranks: int, out: str | None) -> None:
    """Measure one rank of many, at the start of an epoch and resuming in its middle, with all samples and with half of them.

    Args:
        samples: Of the corpus.
        shards: Numbers of shards to try.
        ranks: W.
        out: CSV; None writes none.

    Raises:
        ConfigError: Too few shards for that many ranks, or more than there are samples.
    """
    rows: list[dict[str, Any]] = []
    streams = ranks
    for count in shards:
        if not streams <= count <= samples:
            raise ConfigError(f"--shards {count}: give {streams} (one a rank) … {samples} (the samples)")
        with tempfile.TemporaryDirectory(prefix="landmarks-bench-") as folder:
            write_text(manifest_url(folder), dump_manifest(corpus(samples, count)))
            for chosen in (None, samples // 2):
                middle = (chosen or samples) // 2 // streams * streams
                for where, start in (("start", 0), ("middle", middle)):
                    settings = {"folder": folder, "streams": streams, "rank": ranks // 3, "ranks": ranks}
                    settings |= {"start": start, "count": chosen}
                    line, _ = run_python("jobs.bench.plan_rank", [], settings, {"OMP_NUM_THREADS": "1"})
                    case = {"shards": count, "chosen": chosen or samples, "epoch": where}
                    rows.append(case | json.loads(line))
    title = f"one of {ranks:,} ranks on {samples:,} samples, up to its first one"
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_seconds", ", s").replace("seconds", "both, s"), justify="right")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    Console().print(table)
    write_csv(out, [{"samples": samples, "ranks": ranks} | row for row in rows], None, None)
