"""Pseudo-labels on the cluster: actors that hold a model and take one shard after the other."""

from __future__ import annotations

import sys
from typing import Any

from jobs.cluster.fit import readable
from jobs.cluster.fleet import search_path
from jobs.cluster.progress import progress
from pipeline.inference.pseudo_label import Labelling, assemble, label_shard
from pipeline.methods.model_file import load_description, load_model
from pipeline.shards.manifest import Manifest
from pipeline.training.config.cluster import ClusterConfig


class _Labeller:
    """An actor: the model is read once.

    Args:
        job: What is labelled.
        gpu: Compute there.
        path: ``search_path`` of the driver: the model may be of the user's own.
    """

    def __init__(self, job: Labelling, gpu: bool, path: list[str]) -> None:
        import torch

        sys.path[:0] = [p for p in path if p not in sys.path]
        torch.set_num_threads(1)  # an actor has one core
        torch.set_flush_denormal(True)  # see pipeline.training.engines
        self._job, self._device = job, "cuda" if gpu else "cpu"
        self._model = load_model(job.model, self._device)

    def label(self, shard: int) -> int:
        """Label a source shard; returns how many of its faces were looked at."""
        label_shard(self._job, shard, self._model, self._device)
        return len(self._job.shards()[shard])


def label_faces(job: Labelling, name: str, cluster: ClusterConfig) -> Manifest:
    """Label what is not labelled yet; needs a connection to Ray.

    Args:
        job: What is labelled, and by which model; ``out`` on storage that all nodes share.
        name: Of the set.
        cluster: Whether actors take a GPU.

    Raises:
        LandmarkError: What a user can act on.
    """
    existing = job.existing()
    if existing is not None:
        return existing
    import ray

    shards = job.shards()
    todo = [shard for shard in shards if job.finished(shard) is None]
    known = sum(len(offsets) for shard, offsets in shards.items() if shard not in todo)
    total = int(ray.cluster_resources().get("GPU" if cluster.gpu else "CPU", 1))
    resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if cluster.gpu else 0}
    remote: Any = ray.remote(**resources)(_Labeller)
    path, count = search_path(), min(max(total, 1), len(todo))
    actors = [remote.remote(job, cluster.gpu, path) for _ in range(count)]
    waiting = list(todo)
    pending: dict[Any, Any] = {}
    try:
        with progress(f"{name}: label", len(job.ordinals_N), done=known, unit="faces") as advance:
            while waiting or pending:
                while waiting and actors:
                    actor = actors.pop()
                    pending[actor.label.remote(waiting.pop(0))] = actor
                done, _ = ray.wait(list(pending), num_returns=1)
                actors.append(pending.pop(done[0]))
                advance(ray.get(done[0]))
    except ray.exceptions.RayError as error:
        raise readable(error) from error
    finally:
        for actor in (*actors, *pending.values()):
            ray.kill(actor)
    return assemble(job, load_description(job.model), name)
