"""The plain PyTorch loop that ``landmarks train`` is measured against: what one would write for one process by hand.

Same networks, losses, batch, optimizer and precision as the experiment; tars through ``tarfile``, images through Pillow,
torch's optimizer, no engine, no workers, no checkpoints, no tracking. Encoded samples are read into memory before the
clock starts, so that only decoding, batching and the step are timed.

Reads its settings as JSON from standard input and prints one line of JSON.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.methods.build import make_generator, make_method
from pipeline.models.output import as_output
from pipeline.registry import Part, build
from pipeline.shards.manifest import load_manifest, manifest_url
from pipeline.storage import local_path
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.engines import make_optimizer

_Sample = tuple[bytes, dict[str, Any]]


def read_samples(folder: str, count: int) -> list[_Sample]:
    """The first ``count`` samples of a local set, or all it has."""
    root = local_path(manifest_url(folder)).parent
    samples: list[_Sample] = []
    for shard in load_manifest(folder).shards:
        with tarfile.open(Path(root) / shard.path) as tar:
            jpeg = b""
            for member in tar:
                file = tar.extractfile(member)
                if file is None:
                    continue
                if member.name.endswith(".jpg"):
                    jpeg = file.read()
                else:
                    samples.append((jpeg, json.loads(file.read())))
                if len(samples) == count:
                    return samples
    return samples


def batches(samples: list[_Sample], batch: int, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled (images_B3HW in [0, 1], points_BK2 px of the network input), without end."""
    random = np.random.default_rng(0)
    order: list[int] = []
    while True:
        while len(order) < batch:
            order += random.permutation(len(samples)).tolist()
        images, points = zip(*(_decode(*samples[i]) for i in order[:batch]), strict=True)
        order = order[batch:]
        images_B3HW = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        points_BK2 = torch.from_numpy(np.stack(points)).float()
        stored = images_B3HW.shape[-1]
        if stored != size:
            images_B3HW = F.interpolate(images_B3HW, (size, size), mode="bilinear", antialias=True)
            points_BK2 = (points_BK2 + 0.5) * (size / stored) - 0.5
        yield images_B3HW.contiguous(), points_BK2


def _decode(jpeg: bytes, meta: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    with Image.open(io.BytesIO(jpeg)) as opened:
        image = np.asarray(opened.convert("RGB"))
    known = [p or (np.nan, np.nan) for p in meta["points"] or []]
    points = np.array(known, dtype=np.float64).reshape(-1, 2) + 0.5 - (meta["left"], meta["top"])
    return image, points * (meta["size"] / meta["side"]) - 0.5


def _sized(images_B3HW: Tensor, heatmaps_BKHW: Tensor) -> Tensor:
    size = heatmaps_BKHW.shape[-2:]
    if images_B3HW.shape[-2:] == size:
        return images_B3HW
    return F.interpolate(images_B3HW, size, mode="bilinear", antialias=True)


def measure(config: ExperimentConfig, steps: int, warmup: int) -> float:
    """Images a second over ``steps`` steps, after ``warmup`` steps that do not count."""
    device = torch.device("cuda" if config.cluster.gpu else "cpu")
    torch.manual_seed(config.seed)
    labelled_batch, unlabelled_batch = config.training.batch, config.unlabelled_batch
    markup = load_manifest(config.data.train).layout
    landmarks = markup.num_landmarks
    labelled = batches(
        read_samples(config.data.train, labelled_batch * (steps + warmup)), labelled_batch, config.input_size
    )
    generator = make_generator(config.model, markup, config.input_size).to(device).train()
    parts = (config.method, config.loss, config.decoder)
    method = make_method(*parts, markup, config.input_size, generator).to(device)
    optimizer = make_optimizer(generator.parameters(), config.optimizer)
    pool = discriminator = discriminator_optimizer = None
    gain = 1.0
    weight = 0.0
    if unlabelled_batch and config.data.unlabelled:
        encoded = read_samples(config.data.unlabelled.corpora[0], unlabelled_batch * (steps + warmup))
        pool = batches(encoded, unlabelled_batch, config.input_size)
        (chosen,) = config.unlabelled.active
        objective, weight = chosen.parameters, chosen.weight.fixed or 0.0
        gain = float(objective.get("gain", 1.0))
        part = Part.model_validate(objective.get("discriminator") or {"name": "patchgan"})
        discriminator = build("discriminator", part, in_channels=landmarks + 3).to(device).train()
        discriminator_optimizer = make_optimizer(discriminator.parameters(), config.unlabelled.optimizer)
    clip = config.training.gradient_clipping

    def precision() -> AbstractContextManager[Any]:
        if config.training.precision == "bf16":
            return torch.autocast(device.type, dtype=torch.bfloat16)
        return nullcontext()

    def update(module: nn.Module, optimizer: torch.optim.Optimizer, total: Tensor) -> None:
        optimizer.zero_grad()
        total.backward()
        if clip:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()

    began = 0.0
    for step in range(warmup + steps):
        if step == warmup:
            if config.cluster.gpu:
                torch.cuda.synchronize()
            began = time.perf_counter()
        images, points = (t.to(device) for t in next(labelled))
        known = points.isfinite().all(-1)
        with precision():
            total, _ = method.supervised(as_output(generator(images)), points, known)
            if pool is not None and discriminator is not None and discriminator_optimizer is not None:
                faces = next(pool)[0].to(device)
                heatmaps = method.heatmaps(as_output(generator(faces)))
                truth = method.draw_true(points, known)
                fake = torch.cat([_sized(faces, heatmaps) * 2 - 1, heatmaps * gain], 1)
                on_real = discriminator(torch.cat([_sized(images, truth) * 2 - 1, truth * gain], 1)).float()
                on_fake = discriminator(fake.detach()).float()
                discriminator_total = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        if pool is not None and discriminator is not None and discriminator_optimizer is not None:
            update(discriminator, discriminator_optimizer, discriminator_total)
            # Frozen, as everybody would: its weights' gradients are not wanted here.
            discriminator.requires_grad_(False)
            with precision():
                total = total + weight * F.softplus(-discriminator(fake).float()).mean()
        update(generator, optimizer, total)
        if discriminator is not None:
            discriminator.requires_grad_(True)
        if not np.isfinite(total.item()):
            raise FloatingPointError(f"step {step}: the loss is {total.item()}")
    if config.cluster.gpu:
        torch.cuda.synchronize()
    return steps * (labelled_batch + unlabelled_batch) / (time.perf_counter() - began)


def main() -> None:
    """Measure what standard input describes."""
    settings = json.load(sys.stdin)
    config = ExperimentConfig.model_validate(settings["config"])
    if not config.cluster.gpu:
        torch.set_num_threads(config.cluster.cpus_per_worker)
        # As the workers do: a plain loop that does not know of it is up to four times slower on sharp heatmaps.
        torch.set_flush_denormal(True)
    print(json.dumps({"images_per_second": measure(config, settings["steps"], settings["warmup"])}))


if __name__ == "__main__":
    main()
