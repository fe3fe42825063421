"""A model's landmarks of unlabelled faces as a prepared labelled set, which training takes as any other.

A source shard becomes a shard: the stored JPEGs as they are, the landmarks in original px, as annotations are, with their
covariance beside them. Nothing else is taken over that an annotator said of a face. No face is left out for being uncertain: what
a learner makes of a doubtful label is the learner's affair.

Labelling is done shard by shard, by anybody, in any order; what is finished is noted in ``.finished/`` until there is a manifest.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pipeline.errors import DataError, TrainingError
from pipeline.inference.crops import answer
from pipeline.methods.model_file import LandmarkModel, ModelDescription
from pipeline.shards.joined import JoinedSet
from pipeline.shards.loader import Quarantine, collate
from pipeline.shards.manifest import (
    Manifest,
    SampleMeta,
    dump_manifest,
    join,
    load_manifest,
    manifest_url,
)
from pipeline.shards.place import DECIMALS
from pipeline.shards.poses import poses_of, read_shapes
from pipeline.shards.read import RawSample, iterate_shard
from pipeline.shards.shard_list import ShardEntry
from pipeline.shards.stream import StreamSample
from pipeline.shards.write import encode_meta, write_shard
from pipeline.storage import exists, names_in, open_text, remove, write_text

BATCH = 32
READER = "pseudo_label"


@dataclass(frozen=True, eq=False)
class Labelling:
    """What is labelled by what, and where to.

    Attributes:
        model: Folder of model.json.
        weights_sha256: Of the model's weights.
        sets: The faces' sets.
        ordinals_N: Which of their samples, sorted.
        out: Folder of the set that is made.
        flip: Average over the mirror image.
        max_bad_share: Share of undecodable faces over which labelling stops; fewer are left out.
    """

    model: str
    weights_sha256: str
    sets: JoinedSet
    ordinals_N: np.ndarray
    out: str
    flip: bool = True
    max_bad_share: float = 0.01

    @property
    def hash(self) -> str:
        """Twelve hex digits that name the result: the same weights and the same faces."""
        source = [[shard.sha256 for shard in manifest.shards] for manifest in self.sets.manifests]
        chosen = hashlib.sha256(self.ordinals_N.astype("<i8").tobytes()).hexdigest()
        content = json.dumps([self.weights_sha256, source, chosen, self.flip])
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def shards(self) -> dict[int, np.ndarray]:
        """Source shard → sorted offsets of its faces that are to be labelled; shards without any are not there."""
        starts = np.concatenate([[0], np.cumsum(self.sets.shard_samples)])
        bounds = np.searchsorted(self.ordinals_N, starts)
        return {
            shard: self.ordinals_N[low:high] - starts[shard]
            for shard, (low, high) in enumerate(itertools.pairwise(bounds))
            if high > low
        }

    def note_url(self, shard: int) -> str:
        """Where a finished shard is noted."""
        return join(self.out, f".finished/{self.hash}-{shard:06d}.json")

    def finished(self, shard: int) -> dict[str, Any] | None:
        """What ``label_shard`` noted of a shard: ``entry`` (None where no face could be read) and ``unreadable``."""
        try:
            with open_text(self.note_url(shard)) as file:
                return dict(json.load(file))
        except FileNotFoundError:
            return None

    def existing(self) -> Manifest | None:
        """The set, where it has been made already; one made otherwise does not count."""
        if not exists(manifest_url(self.out)):
            return None
        manifest = load_manifest(self.out)
        return manifest if manifest.config_hash == self.hash else None


def label_shard(
    job: Labelling, shard: int, model: LandmarkModel, device: torch.device | str = "cpu"
) -> dict[str, Any]:
    """Label the faces of one source shard, unless that is done.

    Args:
        job: What is labelled.
        shard: Source shard, one of ``job.shards()``.
        model: In evaluation mode, on ``device``.
        device: Where to compute.

    Returns:
        See ``Labelling.finished``.

    Raises:
        ShardError: The source tar cannot be read.
        TrainingError: Landmarks that are not finite; too many faces that cannot be decoded.
    """
    done = job.finished(shard)
    if done is not None:
        return done
    wanted = set(job.shards()[shard].tolist())
    raws = [raw for place, raw in enumerate(iterate_shard(job.sets.url(shard))) if place in wanted]
    quarantine = Quarantine(job.max_bad_share)
    labelled: list[RawSample] = []
    for start in range(0, len(raws), BATCH):
        labelled += _label(raws[start : start + BATCH], job, model, torch.device(device), quarantine)
    # The hash in the name keeps these apart from what an older manifest still points to.
    url = join(job.out, f"{READER}-{job.hash[:8]}-{shard:06d}.tar")
    entry = write_shard(url, labelled).model_dump() if labelled else None
    note = {"entry": entry, "unreadable": len(raws) - len(labelled)}
    write_text(job.note_url(shard), json.dumps(note))
    return note


def _label(
    raws: list[RawSample],
    job: Labelling,
    model: LandmarkModel,
    device: torch.device,
    quarantine: Quarantine,
) -> list[RawSample]:
    stored = job.sets.size
    batch = collate([StreamSample(i, i, raw) for i, raw in enumerate(raws)], stored, 0, quarantine)
    points_BK2, covariance_BK22 = answer(model, batch.images_B3SS, device, job.flip)
    labelled = []
    for place, (raw, valid) in enumerate(zip(raws, batch.valid_B.tolist(), strict=True)):
        if not valid:
            continue
        meta = SampleMeta.model_validate_json(raw.json)
        known_K2 = np.round(meta.crop.to_original(points_BK2[place].numpy()), DECIMALS)
        if not np.isfinite(known_K2).all():
            raise TrainingError(
                f"{job.model}: its landmarks of face '{raw.key}' are not finite: its training diverged"
            )
        spread = None
        if covariance_BK22 is not None:
            spread_K22 = np.round(covariance_BK22[place].numpy() / meta.crop.scale**2, DECIMALS)
            spread = [(float(s[0, 0]), float(s[0, 1]), float(s[1, 1])) for s in spread_K22]
        told = meta.model_copy(
            update={
                "points": [(float(x), float(y)) for x, y in known_K2],
                "covariance": spread,
                "visible": None,
                "attributes": {},
                "five": meta.five if meta.five_source == "detector" else None,
            }
        )
        labelled.append(RawSample(raw.key, raw.jpg, encode_meta(told)))
    return labelled


def assemble(job: Labelling, description: ModelDescription, name: str) -> Manifest:
    """Write the manifest once every shard is labelled; it comes last, and says by which model.

    Args:
        job: What was labelled.
        description: Of the model.
        name: Of the set.

    Raises:
        DataError: A shard is not labelled yet, or no face at all could be read.
    """
    notes = {shard: job.finished(shard) for shard in job.shards()}
    missing = [shard for shard, note in notes.items() if note is None]
    if missing:
        raise DataError(f"{job.out}: source shards {missing[:5]} are not labelled yet")
    kept = [note for note in notes.values() if note is not None]
    entries = tuple(ShardEntry.model_validate(note["entry"]) for note in kept if note["entry"] is not None)
    if not entries:
        raise DataError(f"{job.sets.title}: none of the faces to be labelled could be read")
    unreadable = sum(note["unreadable"] for note in kept)
    manifest = Manifest(
        name=name,
        role="labelled",
        split="train",
        markup=description.markup,
        markup_definition=description.markup_definition,
        num_landmarks=description.num_landmarks,
        crop=job.sets.manifests[0].crop,
        samples=sum(entry.samples for entry in entries),
        shards=entries,
        source={
            "reader": READER,
            "model": {
                "run": description.name,
                "config_hash": description.config_hash,
                "sha256": job.weights_sha256,
            },
            "flip": job.flip,
            "sets": [{"name": m.name, "config_hash": m.config_hash} for m in job.sets.manifests],
        },
        rejected={"unreadable": unreadable} if unreadable else {},
        config_hash=job.hash,
    )
    manifest = manifest.model_copy(update={"pose": poses_of(read_shapes(manifest, job.out))})
    write_text(manifest_url(job.out), dump_manifest(manifest))
    _clear(job, {entry.path for entry in entries})
    return manifest


def _clear(job: Labelling, keep: set[str]) -> None:
    """Remove the notes, and what was labelled by another model here before."""
    remove(join(job.out, ".finished"))
    for name in names_in(job.out):
        if name.startswith(f"{READER}-") and name.endswith(".tar") and name not in keep:
            remove(join(job.out, name))
