"""Error on the held-out split, with exact sums over all workers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import TrainingError
from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.models.output import as_output
from pipeline.shards.device import to_device
from pipeline.shards.sequential import sequential_batches


def normaliser(points_BK2: Tensor, markup: Markup) -> Tensor:
    """(B,) face size in the points' own px: outer eye corners where the markup has them, else sqrt(w·h) of the box."""
    if markup.ocular is not None:
        left, right = markup.ocular
        return (points_BK2[:, left] - points_BK2[:, right]).norm(dim=-1)
    low = points_BK2.nan_to_num(torch.inf).amin(dim=1)
    high = points_BK2.nan_to_num(-torch.inf).amax(dim=1)
    return (high - low).prod(dim=-1).sqrt()


@dataclass(frozen=True)
class Validation:
    """A model's errors on a set.

    Attributes:
        metrics: ``nme`` (%), ``loss``, ``faces``, ``undefined`` (faces without a normaliser), and of networks with heatmaps
            ``scatter`` (px of the network's input).
        residual_K22: (K, 2, 2) mean of e eᵀ over the faces with the landmark, e = predicted − true, px of the input; None of
            networks that state an uncertainty of their own.
    """

    metrics: dict[str, float]
    residual_K22: np.ndarray | None = None

    def residual_covariance(self) -> list[list[list[float]]] | None:
        """``residual_K22`` as plain numbers."""
        return None if self.residual_K22 is None else self.residual_K22.tolist()


@torch.no_grad()
def validate(
    module: nn.Module,
    method: Method,
    manifest: str,
    markup: Markup,
    *,
    input_size: int,
    batch: int,
    device: torch.device,
    rank: int = 0,
    world_size: int = 1,
) -> Validation:
    """Loss, NME (%, over known landmarks) and heatmap scatter (px of the network input) of a set.

    Each rank reads its own part of the set, in batches that are the same at any world size; sums are float64 and reduced over
    ranks, so that the result does not depend on how the set is shared out.

    Args:
        module: Generator; its training mode is restored afterwards.
        method: Supervised loss, and the way to read outputs.
        manifest: Labelled set.
        markup: Of the set.
        input_size: Network input side, px.
        batch: Images at a time.
        device: Where the module is.
        rank: r.
        world_size: W.

    Returns:
        The metrics; and the errors' second moments for networks that state no uncertainty.

    Raises:
        TrainingError: Predictions that are not finite, no face with a normaliser, too many samples that cannot be used.
    """
    was_training = module.training
    module.eval()
    sums = np.zeros(6)
    has_heatmaps = method.maps is not None
    landmarks_of_markup = markup.num_landmarks
    # Per landmark: the sums of e eᵀ, and how many errors went in.
    residuals = np.zeros((landmarks_of_markup, 5))
    for loaded in sequential_batches(manifest, batch, rank=rank, world_size=world_size):
        inputs = to_device(loaded, device, input_size)
        output = as_output(module(inputs.images_B3HW))
        predicted = method.decode(output)
        scatter_BK = predicted.scatter
        known = inputs.mask_BK
        difference_BK2 = torch.where(known[..., None], predicted.points_BK2 - inputs.points_BK2, 0.0)
        error_BK = difference_BK2.norm(dim=-1).double()
        if predicted.covariance_BK22 is None:
            outer_BK4 = (difference_BK2[..., :, None] * difference_BK2[..., None, :]).flatten(-2).double()
            residuals += torch.cat([outer_BK4.sum(0), known.sum(0)[:, None].double()], dim=1).cpu().numpy()
        face_size = normaliser(inputs.points_BK2, markup).double()
        per_face = error_BK.sum(1) / known.sum(1) / face_size
        # Whether a face counts is for its landmarks to say: a diverged model's NaN must not drop out of the mean.
        defined = known.any(1) & face_size.isfinite() & (face_size > 0)
        landmarks = int(known.sum())
        mean_loss = float(method.supervised(output, inputs.points_BK2, known)[0])
        sums += [
            float(per_face[defined].sum()),
            int(defined.sum()),
            int((~defined).sum()),
            mean_loss * landmarks,
            float(torch.where(known, scatter_BK, 0.0).double().sum()) if scatter_BK is not None else 0.0,
            landmarks,
        ]
    module.train(was_training)
    if world_size > 1:
        joined = np.concatenate([sums, residuals.ravel()])
        total = torch.tensor(joined, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(total)
        joined = total.cpu().numpy()
        sums, residuals = joined[: len(sums)], joined[len(sums) :].reshape(residuals.shape)
    nme, faces, undefined, loss_sum, scatter_sum, landmarks_seen = sums.tolist()
    if not faces:
        raise TrainingError(
            f"{manifest}: none of its {int(undefined)} faces has the landmarks that its error is normalised by (markup "
            f"'{markup.name}'); run 'landmarks verify' on it"
        )
    if not np.isfinite(nme):
        raise TrainingError(
            f"{manifest}: the model's landmarks are not finite: training diverged. Lower optimizer.lr, or set "
            "training.gradient_clipping"
        )
    metrics = {
        "nme": 100 * nme / faces,
        "loss": loss_sum / max(landmarks_seen, 1),
        "faces": faces,
        "undefined": undefined,
    }
    if has_heatmaps:
        metrics["scatter"] = scatter_sum / max(landmarks_seen, 1)
    if not residuals[:, 4].any():  # every rank's: one may have had nothing to read
        return Validation(metrics)
    moments = residuals[:, :4] / np.maximum(residuals[:, 4:], 1)
    return Validation(metrics, moments.reshape(-1, 2, 2))
