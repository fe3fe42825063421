"""Any number of models on every shard of a set: in this process where that is soon done, else as Ray tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jobs.cluster.progress import Advance, progress
from jobs.cluster.session import ray_session
from pipeline.errors import LandmarkError
from pipeline.evaluation.predictions import Predictions
from pipeline.inference.conditions import Conditions
from pipeline.shards.manifest import Manifest, load_manifest, manifest_url, parent

SMALL = 1000
"""Faces times models that this process predicts sooner than a Ray of its own would have started."""


def predict(
    models: Sequence[str],
    data: str,
    gpu: bool = False,
    workers: int | None = None,
    conditions: Sequence[Conditions] | None = None,
) -> list[Predictions]:
    """Every model's answers on a labelled set, in the manifest's order.

    Args:
        models: Folders of model.json.
        data: Prepared set.
        gpu: Give each task a quarter of a GPU.
        workers: Tasks that run at a time; 0 predicts in this process; None predicts sets of up to ``SMALL`` here unless a GPU is
            asked for, and others with all that Ray has.
        conditions: How each model is asked; None as the set is.

    Raises:
        LandmarkError: A task's, as the task raised it.
    """
    from pipeline.inference.predict_set import concatenate

    manifest, folder = load_manifest(data), parent(manifest_url(data))
    if workers is None and not gpu and manifest.samples * len(models) <= SMALL:
        workers = 0
    asked = list(zip(models, conditions or [Conditions()] * len(models), strict=True))
    with progress("evaluate", manifest.samples * len(models), unit="faces") as advance:
        if workers == 0:
            parts = _predict_here(asked, manifest, folder, advance)
        else:
            parts = _predict_on_ray(asked, manifest, folder, advance, gpu=gpu, at_once=workers)
    return [concatenate(shards) for shards in parts]


def _predict_here(
    asked: Sequence[tuple[str, Conditions]], manifest: Manifest, folder: str, advance: Advance
) -> list[list[Predictions]]:
    from pipeline.inference.predict_set import predict_shard
    from pipeline.methods.model_file import load_model

    parts: list[list[Predictions]] = []
    with _as_tasks_are():
        for path, conditions in asked:
            model = load_model(path)
            parts.append([])
            for shard in range(len(manifest.shards)):
                parts[-1].append(predict_shard(model, manifest, folder, shard, conditions=conditions))
                advance(len(parts[-1][-1]))
    return parts


@contextmanager
def _as_tasks_are() -> Iterator[None]:
    """One thread, no denormals, as ``_predict_shard`` has it: settings of the whole process, and the caller's to keep.

    Several threads wait for each other spinning: beside another program a small network answered 17 faces a second on two,
    and 528 on one.
    """
    import torch

    threads, flushed = torch.get_num_threads(), sys.float_info.min / 2 == 0.0
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # see pipeline.training.engines
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


def _predict_on_ray(
    asked: Sequence[tuple[str, Conditions]],
    manifest: Manifest,
    folder: str,
    advance: Advance,
    *,
    gpu: bool,
    at_once: int | None,
) -> list[list[Predictions]]:
    import ray

    shards = range(len(manifest.shards))
    results: dict[tuple[int, int], Predictions] = {}
    with ray_session():
        remote = ray.remote(num_cpus=1, num_gpus=0.25 if gpu else 0)(_predict_shard)
        waiting = [(place, shard) for place in range(len(asked)) for shard in shards]
        at_once = at_once or len(waiting)
        pending: dict[ray.ObjectRef[Predictions], tuple[int, int]] = {}
        while waiting or pending:
            while waiting and len(pending) < at_once:
                place, shard = waiting.pop(0)
                pending[remote.remote(*asked[place], manifest, folder, shard)] = place, shard
            done, _ = ray.wait(list(pending), num_returns=1)
            key = pending.pop(done[0])
            try:
                results[key] = ray.get(done[0])
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, LandmarkError):
                    raise error.cause from error
                raise
            advance(len(results[key]))
    return [[results[place, shard] for shard in shards] for place in range(len(asked))]


def _predict_shard(
    model: str, conditions: Conditions, manifest: Manifest, folder: str, shard: int
) -> Predictions:
    import torch

    from pipeline.inference.predict_set import predict_shard
    from pipeline.methods.model_file import load_model

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # see pipeline.training.engines
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return predict_shard(load_model(model, device), manifest, folder, shard, device, conditions=conditions)
