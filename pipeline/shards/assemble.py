"""The end of a preparation: finished chunks become shards, and the manifest, which comes last, makes them a set."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from pipeline.markup import own_definition
from pipeline.shards.manifest import MANIFEST_NAME, Manifest, dump_manifest, join, manifest_url
from pipeline.shards.plan import SetPlan
from pipeline.shards.poses import poses_of, read_shapes
from pipeline.shards.prepare import ATTRIBUTE, Reject
from pipeline.shards.rejects import REJECTED_NAME, check_rejects, rejects_text
from pipeline.shards.shard_list import ShardEntry
from pipeline.shards.staging import Staging
from pipeline.shards.write import write_shard
from pipeline.storage import names_in, remove, write_text


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


@dataclass(frozen=True)
class ShardPart:
    """One shard to be: the samples that it takes from finished chunks, which whoever writes it reads from there.

    Attributes:
        url: Where it goes.
        chunks: Chunks that hold its samples, in order.
        skip: Samples of the first of them that belong to the shard before.
        samples: Its own.
    """

    url: str
    chunks: range
    skip: int
    samples: int


WriteShards = Callable[[Staging, Sequence[ShardPart]], Iterable[ShardEntry]]
"""Writes shards, in any order of time; their entries come in the order of the parts."""


def write_part(staging: Staging, part: ShardPart) -> ShardEntry:
    """Write one shard.

    Raises:
        ShardError: A chunk was altered since it was written.
        StorageError: The disk is full.
    """
    samples = staging.samples(part.chunks)
    return write_shard(part.url, islice(samples, part.skip, part.skip + part.samples))


def write_here(staging: Staging, parts: Sequence[ShardPart]) -> Iterator[ShardEntry]:
    """Write shards one after the other in this process."""
    for part in parts:
        yield write_part(staging, part)


def shard_parts(plan: SetPlan, config_hash: str, chunk_samples: Sequence[int]) -> list[ShardPart]:
    """Deal the chunks' samples out to shards of ``plan.samples_per_shard``; the last may be smaller.

    Args:
        plan: Of the set.
        config_hash: Its identity.
        chunk_samples: Samples of each chunk.
    """
    parts: list[ShardPart] = []
    left, first, skip = sum(chunk_samples), 0, 0
    while left:
        wanted = min(plan.samples_per_shard, left)
        last, reached = first, chunk_samples[first] - skip
        while reached < wanted:
            last += 1
            reached += chunk_samples[last]
        # The hash in the name keeps new shards apart from those an older manifest still points to.
        name = f"{plan.name}-{config_hash[:8]}-{len(parts):06d}.tar"
        parts.append(ShardPart(join(plan.folder, name), range(first, last + 1), skip, wanted))
        first, skip = last, chunk_samples[last] - (reached - wanted)
        if skip == chunk_samples[last]:
            first, skip = last + 1, 0
        left -= wanted
    return parts


def assemble(
    plan: SetPlan,
    config_hash: str,
    staging: Staging,
    max_reject_share: float,
    write: WriteShards = write_here,
) -> Manifest:
    """Turn the finished chunks into the prepared set; the manifest comes last.

    Args:
        plan: Of the set.
        config_hash: Its identity.
        staging: Its chunks.
        max_reject_share: Of its images.
        write: Who writes the shards; the same bytes, whoever does.

    Raises:
        DataError: Too many images were left out, or all.
        StorageError: The disk is full.
    """
    rejects: list[Reject] = []
    counts: Counter[str] = Counter()
    chunk_samples: list[int] = []
    for samples, more, counted in staging.states(range(plan.chunk_count)):
        chunk_samples.append(samples)
        rejects += more
        counts += counted
    reasons = Counter(reject.reason for reject in rejects)
    check_rejects(plan, reasons, max_reject_share if counts["samples"] else 0.0, staging)
    for name in names_in(plan.folder):
        if name.startswith(".") and name.endswith(".tmp"):  # of a killed run; nobody else writes here now
            remove(join(plan.folder, name))
    shards = tuple(write(staging, shard_parts(plan, config_hash, chunk_samples)))
    write_text(join(plan.folder, REJECTED_NAME), rejects_text(rejects))
    manifest = Manifest(
        name=plan.name,
        role=plan.options.role,
        split=plan.split,
        dataset=plan.dataset,
        subset=plan.subset,
        attributes=tuple(
            sorted(name.removeprefix(ATTRIBUTE) for name in counts if name.startswith(ATTRIBUTE))
        ),
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
    for name in names_in(plan.folder):
        if name not in keep and stale.fullmatch(name):
            remove(join(plan.folder, name))
    staging.remove()
    return manifest
