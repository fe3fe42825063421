"""The end of a preparation: finished chunks become shards, and the manifest, which comes last, makes them a set."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from pipeline.markup import own_definition
from pipeline.shards.manifest import MANIFEST_NAME, Manifest, dump_manifest, join, manifest_url
from pipeline.shards.plan import SetPlan
from pipeline.shards.poses import poses_of, read_shapes
from pipeline.shards.prepare import ATTRIBUTE, Reject
from pipeline.shards.read import RawSample
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
    chunks = range(plan.chunk_count)
    rejects: list[Reject] = []
    counts: Counter[str] = Counter()
    for index in chunks:
        _, more, counted = staging.state(index)
        rejects += more
        counts += counted
    reasons = Counter(reject.reason for reject in rejects)
    check_rejects(plan, reasons, max_reject_share if counts["samples"] else 0.0, staging)
    for name in names_in(plan.folder):
        if name.startswith(".") and name.endswith(".tmp"):  # of a killed run; nobody else writes here now
            remove(join(plan.folder, name))
    shards = tuple(_shards(plan, config_hash, staging.samples(chunks)))
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
