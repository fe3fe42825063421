"""Pseudo-labels of whole sets: on actors that hold a model and take one shard after the other, or here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from jobs.cluster.actors import on_actors
from jobs.cluster.progress import progress
from jobs.cluster.session import ray_session
from pipeline.errors import ConfigError
from pipeline.inference.predictor import Predictor
from pipeline.inference.pseudo_label import Labelling, assemble, label_shard
from pipeline.inference.sources import Sources
from pipeline.methods.model_file import load_description, load_model
from pipeline.shards.joined import join_unlabelled
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.storage import absolute
from pipeline.training.init import weights_sha256


class _Labeller:
    """Holds the model.

    Args:
        job: What is labelled.
        device: Where to compute.
    """

    def __init__(self, job: Labelling, device: str) -> None:
        self._job, self._device = job, device
        self._model = load_model(job.model, device)

    def work(self, shard: int) -> int:
        """Label a source shard; returns how many of its faces were looked at."""
        label_shard(self._job, shard, self._model, self._device)
        return len(self._job.shards()[shard])


def label_faces(job: Labelling, name: str, *, device: str, workers: int | None = None) -> Manifest:
    """Label what is not labelled yet.

    Args:
        job: What is labelled, and by which model; on a cluster ``out`` is on storage that all nodes share.
        name: Of the set.
        device: ``cuda`` gives each actor a GPU.
        workers: Actors at most, for which a connection to Ray is needed; None takes what the cluster has, 0 works here.

    Raises:
        LandmarkError: What a user can act on.
    """
    existing = job.existing()
    if existing is not None:
        return existing
    shards = job.shards()
    todo = [shard for shard in shards if job.finished(shard) is None]
    known = sum(len(offsets) for shard, offsets in shards.items() if shard not in todo)
    with progress(f"{name}: label", len(job.ordinals_N), done=known, unit="faces") as advance:
        if workers == 0:
            labeller = _Labeller(job, device)
            for shard in todo:
                advance(labeller.work(shard))
        elif todo:
            for _, count in on_actors(_Labeller, (job, device), todo, gpu=device != "cpu", limit=workers):
                advance(count)
    return assemble(job, load_description(job.model), name)


def label_sets(
    models: Sequence[str],
    sources: Sources,
    out: str,
    flip: bool,
    max_bad_share: float,
    *,
    device: str,
    workers: int,
) -> Manifest:
    """Label all faces of prepared sets, as a set that training takes; the same command again goes on.

    Args:
        models: Folder of the model.
        sources: Prepared sets, and nothing else.
        out: Folder of the set that is made.
        flip: Average over the mirror image.
        max_bad_share: Share of undecodable faces over which it ends.
        device: See ``label_faces``.
        workers: Likewise; a Ray is joined or started for them.

    Raises:
        ConfigError: Several models, or what is no prepared set, or one of other crops.
        LandmarkError: What a user can act on.
    """
    if len(models) > 1 or sources.images or sources.videos:
        raise ConfigError(
            "--to shards takes one model and prepared sets: run 'landmarks prepare' on the images first"
        )
    names = [absolute(data) for data in sources.sets]
    sets = join_unlabelled([(name, load_manifest(name)) for name in names])
    Predictor(models[0]).check_fits(sets.manifests[0], sets.title)
    everything = np.arange(sets.samples)
    job = Labelling(models[0], weights_sha256(models[0]), sets, everything, out, flip, max_bad_share)
    with ray_session() if workers else nullcontext():
        return label_faces(job, out.rstrip("/").rsplit("/", 1)[-1], device=device, workers=workers)
