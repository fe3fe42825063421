"""Any number of models on every shard of a set, as Ray tasks."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.cluster.progress import progress
from jobs.cluster.session import ray_session
from pipeline.errors import LandmarkError
from pipeline.evaluation.predictions import Predictions
from pipeline.shards.manifest import Manifest, load_manifest, manifest_url, parent


def _predict_shard(model: str, manifest: Manifest, folder: str, shard: int) -> Predictions:
    import torch

    from pipeline.inference.predict_set import predict_shard
    from pipeline.methods.model_file import load_model

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # see pipeline.training.engines
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return predict_shard(load_model(model, device), manifest, folder, shard, device)


def predict(models: Sequence[str], data: str, gpu: bool = False) -> list[Predictions]:
    """Every model's answers on a labelled set, in the manifest's order.

    Args:
        models: Folders of model.json.
        data: Prepared set.
        gpu: Give each task a quarter of a GPU.

    Raises:
        LandmarkError: A task's, as the task raised it.
    """
    import ray

    from pipeline.inference.predict_set import concatenate

    manifest, folder = load_manifest(data), parent(manifest_url(data))
    shards = range(len(manifest.shards))
    with ray_session():
        remote = ray.remote(num_cpus=1, num_gpus=0.25 if gpu else 0)(_predict_shard)
        pending = {
            remote.remote(model, manifest, folder, shard): (place, shard)
            for place, model in enumerate(models)
            for shard in shards
        }
        results: dict[tuple[int, int], Predictions] = {}
        with progress("evaluate", manifest.samples * len(models), unit="faces") as advance:
            while pending:
                done, _ = ray.wait(list(pending), num_returns=1)
                place = pending.pop(done[0])
                try:
                    results[place] = ray.get(done[0])
                except ray.exceptions.RayTaskError as error:
                    if isinstance(error.cause, LandmarkError):
                        raise error.cause from error
                    raise
                advance(len(results[place]))
    return [concatenate([results[place, shard] for shard in shards]) for place in range(len(models))]
