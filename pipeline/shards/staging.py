"""Finished chunks wait here until all are there; then they become shards.

Whatever is on disk is whole (atomic writes) and named by the set's digest, so a run that was killed goes on
with the first chunk that is missing, and a run with another config shares nothing with it.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import fsspec

from pipeline.datasets.face import Unusable
from pipeline.errors import ConfigError, DataError, ManifestError, ShardError, StorageError
from pipeline.markup import own_definition
from pipeline.shards.manifest import (
    MANIFEST_NAME,
    Manifest,
    ShardEntry,
    dump_manifest,
    join,
    load_manifest,
    manifest_url,
)
from pipeline.shards.plan import SetPlan
from pipeline.shards.poses import poses_of, read_shapes
from pipeline.shards.prepare import ChunkResult, Reject
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.write import write_shard
from pipeline.storage import absolute, exists, is_local, local_path, write_text

STAGING = ".staging"
REJECTED_NAME = "rejected.jsonl"
NOTHING_VISIBLE = (
    "no landmark of the set is visible: if its annotation says 1 for what is visible, set the reader's 'one_means' "
    "to visible"
)
_EXAMPLES = 5
"""Rejects that are printed; the file lists all."""


def _remove(url: str) -> None:
    filesystem, path = fsspec.url_to_fs(absolute(url))
    if filesystem.exists(path):
        filesystem.rm(path, recursive=True)


def _names(folder: str) -> list[str]:
    filesystem, path = fsspec.url_to_fs(absolute(folder))
    if not filesystem.exists(path):
        return []
    return sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in filesystem.ls(path, detail=False))


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
        found = (re.fullmatch(r"chunk-(\d{6})\.json", name) for name in _names(self.folder))
        return {int(match[1]) for match in found if match}

    def discard_others(self) -> None:
        """Remove what runs with another config or input have left of this set."""
        for name in _names(self.root):
            if join(self.root, name) != self.folder:
                _remove(join(self.root, name))

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
            with fsspec.open(url, "rt", encoding="utf-8") as file:
                state = json.load(file)
        except FileNotFoundError as error:
            raise StorageError(
                f"{url}: written by a worker, but not seen here; set 'out' to storage that all nodes share"
            ) from error
        return state["samples"], [Reject(*reject) for reject in state["rejects"]], Counter(state["counts"])

    def samples(self, indices: range) -> Iterator[RawSample]:
        """All samples in order.

        Raises:
            ShardError: A chunk was altered since it was written.
        """
        for index in indices:
            expected = self.state(index)[0]
            if expected == 0:
                continue
            url, seen = self._url(index, "tar"), 0
            for sample in iterate_shard(url):
                seen += 1
                yield sample
            if seen != expected:
                raise ShardError(
                    f"{url}: {seen} samples, {expected} expected; remove the folder {self.folder}"
                )

    def remove(self) -> None:
        """Drop the set's chunks; the shards hold the same samples."""
        _remove(self.root)


@contextmanager
def locked(out: str) -> Iterator[None]:
    """One preparation at a time into one folder. Object stores have no locks: there, nothing is checked.

    Raises:
        StorageError: Another one is running, or the folder cannot be written.
    """
    if not is_local(out):
        yield
        return
    path = local_path(out) / STAGING / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise StorageError(
            f"{out}: cannot write: {error.strerror}; set 'out' to a writable folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"{out}: another preparation is running; wait for it, or choose another 'out'"
            ) from error
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
        filesystem, folder = fsspec.url_to_fs(absolute(plan.folder))
        sizes = {
            entry["name"].rsplit("/", 1)[-1]: entry["size"] for entry in filesystem.ls(folder, detail=True)
        }
        if all(sizes.get(shard.path) == shard.bytes for shard in manifest.shards):
            return manifest
        return None  # shards are missing or cut: the same bytes are written again
    if not overwrite:
        raise ConfigError(
            f"{url}: prepared from another config or other images; give --overwrite, or another 'out'"
        )
    return None


def _list(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def check_entries(plan: SetPlan, staging: Staging, limit: float) -> None:
    """Stop before the first image is read if too many entries of the data set itself give no face.

    Raises:
        DataError: With the reasons, the first of them in full, and where all are listed.
    """
    rejects = [Reject(r.name, r.reason, r.problem) for r in plan.records if isinstance(r, Unusable)]
    if len(rejects) > limit * len(plan.records) or len(rejects) == len(plan.records):
        raise _too_many(plan, rejects, staging, limit)


def check_rejects(plan: SetPlan, rejected: Counter[str], limit: float, staging: Staging) -> None:
    """Stop if too much is left out.

    Raises:
        DataError: With the reasons, most frequent first, the first images in full, and where all are listed.
    """
    if rejected.total() > limit * len(plan.records):
        rejects = [reject for index in sorted(staging.finished()) for reject in staging.state(index)[1]]
        raise _too_many(plan, rejects, staging, limit)


def _too_many(plan: SetPlan, rejects: list[Reject], staging: Staging, limit: float) -> DataError:
    total, reasons = len(rejects), Counter(reject.reason for reject in rejects)
    share = (
        "all that there are"
        if total == len(plan.records)
        else f"more than the {limit:.0%} of 'max_reject_share'"
    )
    remedy = "look at the images, 'crop' and 'detector', or raise it"
    if reasons.most_common(1)[0][0] == "near_duplicate":
        remedy = (
            f"they repeat {' and '.join(plan.references)}: use other images, set 'validation.drop_near_duplicates' to false, or "
            "shorten 'drop_near_duplicates_of'"
        )
    url = join(staging.root, REJECTED_NAME)
    write_text(url, _lines(rejects))
    return DataError(
        f"set '{plan.name}': {total} of {len(plan.records)} images left out ({_list(reasons)}), {share}; {remedy}. "
        f"All are listed in {url}. {examples(rejects)}"
    )


def _lines(rejects: list[Reject]) -> str:
    return "".join(json.dumps(reject._asdict(), ensure_ascii=False) + "\n" for reject in rejects)


def examples(rejects: Sequence[Reject]) -> str:
    """The first few, a line each."""
    shown = "".join(f"\n  {reject.name}: {reject.reason}: {reject.detail}" for reject in rejects[:_EXAMPLES])
    more = len(rejects) - _EXAMPLES
    return f"The first:{shown}" + (f"\n  … and {more} more" if more > 0 else "")


def remarks(plan: SetPlan, manifest: Manifest) -> list[str]:
    """What whoever prepared a set should know of it: what was left out, and what looks like a mistake in its annotation.

    Raises:
        StorageError: The list of rejects cannot be read.
    """
    found: list[str] = []
    if manifest.rejected:
        url = join(plan.folder, REJECTED_NAME)
        try:
            with fsspec.open(url, "rt", encoding="utf-8") as file:
                rejects = [Reject(**json.loads(line)) for line in file]
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                f"{url}: cannot read the list of rejects: {error}; prepare the set again"
            ) from error
        found.append(f"left out, all listed in {url}. {examples(rejects)}")
    if manifest.statistics.get("landmarks_hidden_share") == 1.0:
        found.append(NOTHING_VISIBLE)
    return found


def _statistics(counts: Counter[str]) -> dict[str, float]:
    samples, landmarks = counts["samples"], counts["landmarks"]
    shares = {"landmark_placed_share": counts["landmark_placed"] / samples}
    if landmarks:
        if counts["landmarks_hidden"]:
            shares["landmarks_hidden_share"] = counts["landmarks_hidden"] / landmarks
        shares["landmarks_cut_share"] = counts["landmarks_cut"] / landmarks
        shares["faces_cut_share"] = counts["faces_cut"] / samples
        return shares
    return {}


def _shards(plan: SetPlan, config_hash: str, samples: Iterator[RawSample]) -> Iterator[ShardEntry]:
    for number in itertools.count():
        batch = list(itertools.islice(samples, plan.samples_per_shard))
        if not batch:
            return
        # The hash in the name keeps new shards apart from those an older manifest still points to.
        yield write_shard(join(plan.folder, f"{plan.name}-{config_hash[:8]}-{number:06d}.tar"), batch)


def assemble(plan: SetPlan, config_hash: str, staging: Staging, max_reject_share: float) -> Manifest:
    """Turn the finished chunks into the prepared set; the manifest comes last.

    Raises:
        DataError: Too many images were left out, or all.
        StorageError: The disk is full.
    """
    chunks = range(len(plan.chunks))
    rejects: list[Reject] = []
    counts: Counter[str] = Counter()
    for index in chunks:
        _, more, counted = staging.state(index)
        rejects += more
        counts += counted
    reasons = Counter(reject.reason for reject in rejects)
    check_rejects(plan, reasons, max_reject_share if counts["samples"] else 0.0, staging)
    for name in _names(plan.folder):
        if name.startswith(".") and name.endswith(".tmp"):  # of a killed run; nobody else writes here now
            _remove(join(plan.folder, name))
    shards = tuple(_shards(plan, config_hash, staging.samples(chunks)))
    write_text(join(plan.folder, REJECTED_NAME), _lines(rejects))
    manifest = Manifest(
        name=plan.name,
        role=plan.options.role,
        split=plan.split,
        markup=plan.options.markup.name if plan.options.markup else None,
        markup_definition=own_definition(plan.options.markup),
        num_landmarks=plan.options.markup.num_landmarks if plan.options.markup else 0,
        crop=plan.options.crop,
        samples=sum(shard.samples for shard in shards),
        shards=shards,
        source=plan.source,
        rejected=dict(sorted(reasons.items())),
        statistics=_statistics(counts),
        config_hash=config_hash,
    )
    if manifest.role == "labelled":
        manifest = manifest.model_copy(update={"pose": poses_of(read_shapes(manifest, plan.folder))})
    write_text(manifest_url(plan.folder), dump_manifest(manifest))
    keep = {shard.path for shard in shards} | {MANIFEST_NAME, REJECTED_NAME}
    stale = re.compile(re.escape(plan.name) + r"-[0-9a-f]{8}-\d{6}\.tar")
    for name in _names(plan.folder):
        if name not in keep and stale.fullmatch(name):
            _remove(join(plan.folder, name))
    staging.remove()
    return manifest
