"""The same recipe as a plain PyTorch loop, to hold the pipeline's results against.

One process, no Ray, no DeepSpeed, and nothing of the pipeline's readers, order, step, evaluation or config: tars are read with
``tarfile``, images decoded with Pillow, samples shuffled by ``torch.randperm``, algorithm 1 of Robinson et al. (ICCV 2019) is
written out, and the error is computed here. Only networks, losses and markups are shared: they have references of their own.

    python tests/oracle/plain_loop.py --train SET --validation SET --epochs 20 --width 8
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.base import HeatmapLoss
from pipeline.losses.gaussian_kl import GaussianKL
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.losses.softargmax_l2 import SoftargmaxL2
from pipeline.markup import load_markup
from pipeline.models.patchgan import PatchGAN
from pipeline.models.rcn import RCN

LOSSES: dict[str, type[HeatmapLoss]] = {
    "laplace_kl": LaplaceKL,
    "gaussian_kl": GaussianKL,
    "softargmax_l2": SoftargmaxL2,
}


class TarSet:
    """A prepared set in memory, still encoded.

    Attributes:
        points_NK2: Landmarks (x, y), px of the stored images; NaN where unknown.
        truth_NK2: The same, px of the original images.
        origin_N2, scale_N: Where the stored square lies in the original (edges, px), and original px per stored px.
    """

    def __init__(self, folder: str, count: int | None = None, seed: int = 0) -> None:
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        self.markup = manifest["markup"]
        self.jpegs: list[bytes] = []
        metas: list[dict[str, Any]] = []
        for shard in manifest["shards"]:
            with tarfile.open(Path(folder) / shard["path"]) as tar:
                members = {m.name: m for m in tar.getmembers()}
                for name in members:
                    if name.endswith(".jpg"):
                        self.jpegs.append(_read(tar, members[name]))
                        metas.append(json.loads(_read(tar, members[name[:-4] + ".json"])))
        if count is not None:
            chosen = torch.randperm(len(metas), generator=torch.Generator().manual_seed(seed))[:count]
            self.jpegs = [self.jpegs[i] for i in chosen]
            metas = [metas[i] for i in chosen]
        unknown = [float("nan")] * 2
        self.truth_NK2 = torch.tensor([[p or unknown for p in m["points"] or []] for m in metas])
        self.origin_N2 = torch.tensor([[m["left"], m["top"]] for m in metas])
        self.scale_N = torch.tensor([m["side"] / m["size"] for m in metas])
        if self.markup is not None:
            inside = self.truth_NK2 + 0.5 - self.origin_N2[:, None]
            self.points_NK2 = inside / self.scale_N[:, None, None] - 0.5

    def __len__(self) -> int:
        return len(self.jpegs)

    def images(self, indices: Tensor) -> Tensor:
        """(B, 3, S, S) float32 in [0, 1]."""
        return torch.stack([_decode(self.jpegs[i]) for i in indices.tolist()])


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _decode(jpeg: bytes) -> Tensor:
    with Image.open(io.BytesIO(jpeg)) as image:
        rgb = image.convert("RGB")
        flat = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
        return flat.view(rgb.height, rgb.width, 3).permute(2, 0, 1).float() / 255


def shuffled(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of indices without end: every pass is a new permutation, and no sample is dropped at its end."""
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < batch:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[:batch]
        waiting = waiting[batch:]


@torch.no_grad()
def nme(network: RCN, beta: float, data: TarSet, batch: int = 64) -> float:
    """Mean error over landmarks and faces in percent of the outer eye corners' distance, px of the original images."""
    ocular = load_markup(data.markup).ocular
    assert ocular is not None
    left, right = ocular
    network.eval()
    per_face = []
    for indices in torch.arange(len(data)).split(batch):
        logits = network(data.images(indices))
        height, width = logits.shape[2:]
        p = (logits * beta).flatten(2).softmax(-1).view_as(logits)
        x = (p.sum(2) * torch.arange(width)).sum(-1)
        y = (p.sum(3) * torch.arange(height)).sum(-1)
        predicted = (torch.stack([x, y], -1) + 0.5) * data.scale_N[indices, None, None]
        predicted = predicted + data.origin_N2[indices, None] - 0.5
        truth = data.truth_NK2[indices]
        distance = (truth[:, left] - truth[:, right]).norm(dim=-1)
        per_face.append((predicted - truth).norm(dim=-1).nanmean(1) / distance)
    network.train()
    return 100 * float(torch.cat(per_face).nanmean())


def run(
    train: str,
    validation: str | None = None,
    *,
    test: str | None = None,
    unlabelled: str | None = None,
    labelled_count: int | None = None,
    unlabelled_count: int | None = None,
    epochs: float = 10,
    steps: int | None = None,
    batch: int = 16,
    width: int = 8,
    dropout: float = 0.2,
    loss: str = "laplace_kl",
    beta: float = 1.0,
    true_scale: float = 1.0,
    lr: float = 1e-3,
    weight_decay: float = 1e-5,
    weight: float = 1e-3,
    gain: float = 1.0,
    discriminator_width: int = 64,
    noise: float = 0.2,
    seed: int = 0,
) -> dict[str, Any]:
    """Train, and measure after every pass over the labelled faces.

    Args:
        train: Folder of a prepared labelled set; likewise ``validation``, ``test`` and (without landmarks) ``unlabelled``.
        unlabelled: Its presence adds algorithm 1's adversarial step.
        labelled_count: Use this many faces, drawn at random; likewise ``unlabelled_count``.
        epochs: Passes over the labelled faces, unless ``steps`` says how long.
        weight: λ of eqs. 6–7.
        gain: Factor on the heatmaps before the discriminator.

    Returns:
        ``loss`` (mean supervised loss of each pass), ``nme`` (validation, after each pass), ``best``, ``best_epoch``, ``test``
        and ``test_at_best`` (last weights, and those of the best validation), ``steps``, ``seconds``.
    """
    torch.manual_seed(seed)
    labelled = TarSet(train, labelled_count, seed)
    held_out = TarSet(validation) if validation else None
    pool = TarSet(unlabelled, unlabelled_count, seed) if unlabelled else None
    landmarks = labelled.points_NK2.shape[1]
    criterion = LOSSES[loss](true_scale=true_scale, beta=beta)
    generator = RCN(landmarks, width=width, dropout=dropout)
    discriminator = PatchGAN(landmarks + 3, width=discriminator_width, noise=noise)
    g_adam = torch.optim.Adam(generator.parameters(), lr=lr, weight_decay=weight_decay)
    d_adam = torch.optim.Adam(discriminator.parameters(), lr=lr, weight_decay=weight_decay)
    random = torch.Generator().manual_seed(seed)
    order = shuffled(len(labelled), batch, random)
    pool_order = shuffled(len(pool), batch, random) if pool else None
    total = steps if steps is not None else max(round(epochs * len(labelled) / batch), 1)
    per_epoch = max(round(len(labelled) / batch), 1)
    history: dict[str, list[float]] = {"loss": [], "nme": []}
    best: tuple[float, int, dict[str, Tensor]] | None = None
    sum_of_losses, since, began = 0.0, 0, time.perf_counter()
    for step in range(1, total + 1):
        indices = next(order)
        images, points = labelled.images(indices), labelled.points_NK2[indices]
        known = points.isfinite().all(-1)
        supervised = criterion(generator(images), points, known)
        objective = supervised
        if pool is not None and pool_order is not None:
            faces = pool.images(next(pool_order))
            heatmaps = criterion.heatmaps(generator(faces))
            truth = criterion.draw_true(points.nan_to_num(), (images.shape[2], images.shape[3]), known)
            real = torch.cat([images * 2 - 1, truth * gain], 1)
            fake = torch.cat([faces * 2 - 1, heatmaps * known[:, :, None, None] * gain], 1)
            on_real, on_fake = discriminator(real), discriminator(fake.detach())
            d_loss = F.binary_cross_entropy_with_logits(on_real, torch.ones_like(on_real))
            d_loss = d_loss + F.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
            d_adam.zero_grad()
            d_loss.backward()
            d_adam.step()
            verdict = discriminator(fake)
            objective = supervised + weight * F.binary_cross_entropy_with_logits(
                verdict, torch.ones_like(verdict)
            )
        g_adam.zero_grad()
        objective.backward()
        g_adam.step()
        sum_of_losses, since = sum_of_losses + supervised.item(), since + 1
        if step % per_epoch == 0 or step == total:
            history["loss"].append(sum_of_losses / since)
            sum_of_losses, since = 0.0, 0
            if held_out is not None:
                history["nme"].append(nme(generator, beta, held_out))
                if best is None or history["nme"][-1] < best[0]:
                    weights = {name: value.clone() for name, value in generator.state_dict().items()}
                    best = (history["nme"][-1], len(history["nme"]), weights)
    result: dict[str, Any] = {
        **history,
        "best": best[0] if best else None,
        "best_epoch": best[1] if best else None,
        "steps": total,
        "seconds": time.perf_counter() - began,
    }
    if test:
        measured = TarSet(test)
        result["test"] = nme(generator, beta, measured)
        if best:
            generator.load_state_dict(best[2])
            result["test_at_best"] = nme(generator, beta, measured)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--train", required=True)
    for name in ("validation", "test", "unlabelled"):
        parser.add_argument(f"--{name}")
    for name, default in (("epochs", 10.0), ("dropout", 0.2), ("beta", 1.0), ("true-scale", 1.0)):
        parser.add_argument(f"--{name}", type=float, default=default)
    for name, default in (("lr", 1e-3), ("weight-decay", 1e-5), ("weight", 1e-3), ("gain", 1.0)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--noise", type=float, default=0.2)
    for name, whole in (("batch", 16), ("width", 8), ("discriminator-width", 64), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=whole)
    for name in ("steps", "labelled-count", "unlabelled-count"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--loss", choices=sorted(LOSSES), default="laplace_kl")
    # Denormals make the loop four times slower on real faces and change nothing that could be seen.
    torch.set_flush_denormal(True)
    print(json.dumps(run(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
