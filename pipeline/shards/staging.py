"""Finished chunks wait here until all are there; then they become shards.

Whatever is on disk is whole (atomic writes) and named by the set's digest, so a run that was killed goes on
with the first chunk that is missing, and a run with another config shares nothing with it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from pipeline.errors import ConfigError, ManifestError, ShardError, StorageError
from pipeline.ownership import owned
from pipeline.shards.manifest import (
    Manifest,
    join,
    load_manifest,
    manifest_url,
)
from pipeline.shards.plan import SetPlan
from pipeline.shards.prepare import ChunkResult, Reject
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.write import write_shard
from pipeline.storage import exists, names_in, open_text, remove, sizes_in, write_text

STAGING = ".staging"
_READS_AT_ONCE = 16
"""An object store answers a request in tens of milliseconds, and there may be a million chunks."""
_STATES_AT_ONCE = 1024


class Staging:
    """The finished chunks of one set. Picklable: workers write into it.

    Args:
        out: Folder of all sets.
        name: The set's name.
        config_hash: The set's identity (``SetPlan.digest``).
    """

    def __init__(self, out: str, name: str, config_hash: str) -> None:
        self.root = join(join(out, STAGING), name)
        self.folder = join(self.root, config_hash[:16])

    def _url(self, index: int, extension: str) -> str:
        return join(self.folder, f"chunk-{index:06d}.{extension}")

    def finished(self) -> set[int]:
        """Indices of the chunks that need not be done again."""
        found = (re.fullmatch(r"chunk-(\d{6})\.json", name) for name in names_in(self.folder))
        return {int(match[1]) for match in found if match}

    def discard_others(self) -> None:
        """Remove what runs with another config or input have left of this set."""
        for name in names_in(self.root):
            if join(self.root, name) != self.folder:
                remove(join(self.root, name))

    def write(self, index: int, result: ChunkResult) -> None:
        """Keep a chunk. Its JSON comes last: it marks the chunk as finished."""
        if result.samples:
            write_shard(self._url(index, "tar"), result.samples)
        state = {
            "samples": len(result.samples),
            "rejects": [list(reject) for reject in result.rejects],
            "counts": dict(result.counts),
        }
        write_text(self._url(index, "json"), json.dumps(state, sort_keys=True))

    def state(self, index: int) -> tuple[int, list[Reject], Counter[str]]:
        """Number of samples, rejects and counts of a finished chunk.

        Raises:
            StorageError: It is not there, though a worker has written it.
        """
        url = self._url(index, "json")
        try:
            with open_text(url) as file:
                state = json.load(file)
        except FileNotFoundError as error:
            raise StorageError(
                f"{url}: written by a worker, but not seen here; set 'out' to storage that all nodes share"
            ) from error
        return state["samples"], [Reject(*reject) for reject in state["rejects"]], Counter(state["counts"])

    def states(self, indices: Sequence[int]) -> Iterator[tuple[int, list[Reject], Counter[str]]]:
        """``state`` of many chunks, in their order, many of them read at a time.

        Raises:
            StorageError: One cannot be read.
        """
        with ThreadPoolExecutor(_READS_AT_ONCE) as readers:
            # In parts: what waits to be read, and what was, stays small however many there are.
            for start in range(0, len(indices), _STATES_AT_ONCE):
                yield from readers.map(self.state, indices[start : start + _STATES_AT_ONCE])

    def samples(self, indices: range) -> Iterator[RawSample]:
        """All samples in order.

        Raises:
            ShardError: A chunk was altered since it was written.
        """
        for index in indices:
            expected = self.state(index)[0]
            if expected == 0:
                continue
            url = self._url(index, "tar")
            found = list(iterate_shard(url))  # whoever takes the first of them alone hears of it, too
            if len(found) != expected:
                raise ShardError(
                    f"{url}: {len(found)} samples, {expected} expected; remove the folder {self.folder}"
                )
            yield from found

    def remove(self) -> None:
        """Drop the set's chunks; the shards hold the same samples."""
        remove(self.root)


@dataclass(frozen=True)
class Standing:
    """Where the preparation of a set stands.

    Attributes:
        todo: Indices of the chunks that are missing, in order.
        images: Of the finished ones.
        rejected: Of these, how many were left out, by reason.
    """

    todo: list[int]
    images: int
    rejected: Counter[str]


def stand(plan: SetPlan, staging: Staging) -> Standing:
    """What earlier runs have left to do: reads each finished chunk's state once.

    Raises:
        StorageError: A state cannot be read.
    """
    found = staging.finished()
    finished = [index for index in range(plan.chunk_count) if index in found]
    todo = [index for index in range(plan.chunk_count) if index not in found]
    rejected: Counter[str] = Counter()
    for _, rejects, _ in staging.states(finished):
        rejected.update(reject.reason for reject in rejects)
    return Standing(todo, sum(len(plan.chunk(index)) for index in finished), rejected)


@contextmanager
def locked(out: str) -> Iterator[None]:
    """One preparation at a time into one folder.

    Raises:
        OwnedError: Another one is running.
        StorageError: The folder cannot be written.
    """
    with owned(join(out, STAGING), f"preparation into {out}", "choose another 'out'"):
        yield


def existing(plan: SetPlan, config_hash: str, *, overwrite: bool) -> Manifest | None:
    """The manifest already there, if the set needs no work.

    Raises:
        ConfigError: Another set is in the way and ``overwrite`` is not given.
    """
    url = manifest_url(plan.folder)
    if not exists(url):
        return None
    try:
        manifest = load_manifest(url)
    except ManifestError:
        if overwrite:
            return None
        raise
    if manifest.config_hash == config_hash:
        sizes = sizes_in(plan.folder)
        if all(sizes.get(shard.path) == shard.bytes for shard in manifest.shards):
            return manifest
        return None  # shards are missing or cut: the same bytes are written again
    if not overwrite:
        raise ConfigError(
            f"{url}: prepared from another config or other images; give --overwrite, or another 'out'"
        )
    return None
