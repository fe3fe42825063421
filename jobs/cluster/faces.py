"""Faces of a prepared set predicted on actors, shard by shard, in the set's order."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.cluster.actors import on_actors
from jobs.cluster.session import ray_session
from pipeline.inference.predictor import Predictor
from pipeline.inference.result import ImageResult
from pipeline.inference.run import predict_shard
from pipeline.shards.manifest import load_manifest
from pipeline.shards.prepare import Reject


class _Shards:
    """Holds the models.

    Args:
        models: Folders of model.json.
        data: Prepared set.
        flip: See ``Predictor``.
        device: Where to compute.
    """

    def __init__(self, models: list[str], data: str, flip: bool, device: str) -> None:
        self._predictor, self._data = Predictor(models, flip=flip, device=device), data

    def work(self, shard: int) -> list[ImageResult | Reject]:
        """Predict a shard."""
        return predict_shard(self._predictor, self._data, shard)


def predict_set(
    predictor: Predictor, models: list[str], data: str, *, device: str, workers: int
) -> Iterator[ImageResult | Reject]:
    """The faces of a prepared set.

    Args:
        predictor: Of the models, for this process.
        models: Their folders, for others.
        data: Prepared set.
        device: ``cuda`` gives each actor a GPU.
        workers: Actors; 0 predicts in this process, without Ray.

    Raises:
        LandmarkError: What a user can act on.
    """
    manifest = load_manifest(data)
    predictor.check_fits(manifest, data)
    shards = range(len(manifest.shards))
    if workers == 0:
        for shard in shards:
            yield from predict_shard(predictor, data, shard)
        return
    finished: dict[int, list[ImageResult | Reject]] = {}
    due = iter(shards)
    waiting = next(due)
    with ray_session():
        arguments = (models, data, predictor.flip, device)
        for shard, results in on_actors(_Shards, arguments, shards, gpu=device != "cpu", limit=workers):
            finished[shard] = results
            while waiting in finished:
                yield from finished.pop(waiting)
                waiting = next(due, -1)
