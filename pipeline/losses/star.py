"""STAR: errors along the direction in which the predicted heatmap itself is uncertain cost less.

Source: Zhou et al., "STAR Loss: Reducing Semantic Ambiguity in Facial Landmark Detection", CVPR 2023. With μ
and Σ the mean and covariance of the predicted heatmap, λ₁ ≥ λ₂ the eigenvalues of Σ and v₁, v₂ its
eigenvectors,

    L = d(v₁ᵀ(y − μ)) / √λ₁ + d(v₂ᵀ(y − μ)) / √λ₂ + w (λ₁ + λ₂),

d the smooth L1 distance, a parabola up to δ. Without the last term, the value restriction, widening the heatmap would lower the
loss; the other restriction the paper gives is to let no gradient through the λ of the first two terms.
Compared with the authors' published code: w = 1 and δ = 0.01 in their coordinates.

Shapes: heatmaps p_BKHW; μ and y (B, K, 2), (x, y) in px; Σ (B, K, 2, 2), px². The authors work in coordinates
of −1 … 1; here all is px, so w has the unit px⁻² and δ the unit px: on heatmaps of 64 px their w = 1 is 1/32²
and their δ = 0.01 is 0.32 px, the defaults here. A w of 1 px⁻² collapses the heatmap before it has moved.

Deviations:

- Directions carry no gradient. Theirs grows as 1/(λ₁ − λ₂) and is infinite for a round heatmap; λ is the
  Rayleigh quotient vᵀΣv, whose gradient with v held is the exact gradient of the eigenvalue.
- λ gets the variance of a pixel, 1/12 px², added (the authors: 10⁻⁵ of the half-width, squared), so a heatmap
  that has collapsed onto a pixel weighs errors by √12, not by infinity.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.heatmaps.decode import covariance, mean
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.heatmaps.uncertainty import PIXEL_VARIANCE
from pipeline.losses.base import HeatmapLoss

DEFAULT_WEIGHT = 1.0 / 32**2  # px⁻²
DEFAULT_THRESHOLD = 0.01 * 32  # px

Distance = Literal["smooth_l1", "l1", "l2"]


@torch.no_grad()
def principal_direction(covariance_BK22: Tensor) -> Tensor:
    """Unit eigenvector v₁ of the larger eigenvalue, (B, K, 2); the x axis for a round distribution."""
    xx, yy = covariance_BK22[..., 0, 0], covariance_BK22[..., 1, 1]
    # Half the angle of (xx − yy, 2 xy); atan2(0, 0) = 0.
    angle_BK = 0.5 * torch.atan2(2 * covariance_BK22[..., 0, 1], xx - yy)
    return torch.stack((angle_BK.cos(), angle_BK.sin()), dim=-1)


def star(
    mean_BK2: Tensor,
    covariance_BK22: Tensor,
    target_BK2: Tensor,
    direction_BK2: Tensor,
    weight: float = DEFAULT_WEIGHT,
    distance: Distance = "smooth_l1",
    restriction: Literal["value", "detach"] = "value",
    threshold: float = DEFAULT_THRESHOLD,
) -> Tensor:
    """STAR of each landmark.

    Args:
        mean_BK2: μ, px.
        covariance_BK22: Σ, px².
        target_BK2: y, px.
        direction_BK2: v₁, unit; v₂ is perpendicular to it.
        weight: w of the value restriction, px⁻².
        distance: d; ``l2`` is the square.
        restriction: ``value`` adds w (λ₁ + λ₂); ``detach`` adds nothing and lets no gradient through λ.
        threshold: δ of the smooth L1 distance, px.

    Returns:
        loss_BK.
    """
    error_BK2 = target_BK2 - mean_BK2
    other_BK2 = torch.stack((-direction_BK2[..., 1], direction_BK2[..., 0]), dim=-1)
    total_BK = torch.zeros_like(error_BK2[..., 0])
    for axis_BK2 in (direction_BK2, other_BK2):
        eigenvalue_BK = ((covariance_BK22 @ axis_BK2[..., None]).squeeze(-1) * axis_BK2).sum(-1)
        eigenvalue_BK = eigenvalue_BK.clamp(min=0.0)
        scale_BK = (eigenvalue_BK + PIXEL_VARIANCE).sqrt()
        if restriction == "detach":
            scale_BK = scale_BK.detach()
        else:
            total_BK = total_BK + weight * eigenvalue_BK
        total_BK = total_BK + _distance((error_BK2 * axis_BK2).sum(-1), distance, threshold) / scale_BK
    return total_BK


def _distance(error: Tensor, kind: Distance, threshold: float) -> Tensor:
    if kind == "l1":
        return error.abs()
    if kind == "l2":
        return error.square()
    return F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=threshold)


class STAR(HeatmapLoss):
    """STAR on the mean and covariance of the heatmap.

    Args:
        weight: w ≥ 0 of the value restriction, px⁻².
        distance: d.
        restriction: see :func:`star`.
        beta: β of the spatial softmax.
        true_scale: σ, px, of the Gaussian heatmaps drawn for a discriminator; the loss itself does not use it.
        threshold: δ > 0 of the smooth L1 distance, px.

    Raises:
        ConfigError: a weight that is negative or not finite, a threshold that is not positive, or an unknown
            distance or restriction.
    """

    def __init__(
        self,
        weight: float = DEFAULT_WEIGHT,
        distance: Distance = "smooth_l1",
        restriction: Literal["value", "detach"] = "value",
        beta: float = 1.0,
        true_scale: float = 1.0,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> None:
        super().__init__(true_scale, beta)
        if not (math.isfinite(weight) and weight >= 0.0):
            raise ConfigError(f"STAR: weight is {weight}; it must be 0 or more")
        if not (math.isfinite(threshold) and threshold > 0.0):
            raise ConfigError(f"STAR: threshold is {threshold}; it must be a positive number of px")
        for name, value, known in (
            ("distance", distance, ("smooth_l1", "l1", "l2")),
            ("restriction", restriction, ("value", "detach")),
        ):
            if value not in known:
                raise ConfigError(f"STAR: {name} is {value!r}; it is one of {', '.join(known)}")
        self.weight, self.threshold = weight, threshold
        self.distance: Distance = distance
        self.restriction: Literal["value", "detach"] = restriction

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K)."""
        covariance_BK22 = covariance(p_BKHW)
        direction_BK2 = principal_direction(covariance_BK22)
        return star(
            mean(p_BKHW),
            covariance_BK22,
            target_BK2.to(covariance_BK22.dtype),
            direction_BK2,
            self.weight,
            self.distance,
            self.restriction,
            self.threshold,
        )

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Gaussian(s, ``true_scale``) on the pixel grid, p_BKHW: a choice, as the loss wants no one distribution."""
        return gaussian_heatmaps(target_BK2, size, self.true_scale, mask_BK)


LOSS = STAR
