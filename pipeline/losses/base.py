"""The base of losses on heatmaps.

Shapes: logits_BKHW scores, p_BKHW their spatial softmax, points (x, y) in px with the centre of the top-left
pixel at (0, 0), mask_BK True (or a weight ≥ 0) where a landmark is annotated.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.heatmaps import decode
from pipeline.heatmaps.decode import mean, spatial_softmax

# What a loss reads of a network: its heatmaps; its points; or its points, each with a covariance.
Needs = Literal["heatmaps", "points", "covariance"]


def masked_mean(per_landmark_BK: Tensor, mask_BK: Tensor | None) -> Tensor:
    """Mean over the annotated landmarks of a batch; 0, with zero gradients, where there are none.

    Args:
        per_landmark_BK: a value per landmark.
        mask_BK: True, or a weight ≥ 0, where it counts; None counts all. Values where it is 0 have no
            influence.

    Returns:
        scalar.

    Raises:
        ConfigError: not a value per landmark: a loss of another shape would be averaged over the wrong things.
    """
    if mask_BK is None:
        return per_landmark_BK.mean()
    if per_landmark_BK.shape != mask_BK.shape:
        raise ConfigError(
            f"a loss is a value per landmark, {tuple(mask_BK.shape)}, not {tuple(per_landmark_BK.shape)}: correct what "
            "its per_landmark returns"
        )
    weight_BK = mask_BK.to(per_landmark_BK.dtype)
    total = weight_BK.sum()
    kept_BK = torch.where(weight_BK > 0, per_landmark_BK, 0.0) * weight_BK
    return kept_BK.sum() / torch.where(total > 0, total, 1.0)


def fill_masked(target_BK2: Tensor, mask_BK: Tensor | None, fill_BK2: Tensor) -> Tensor:
    """Replace missing targets, which may be NaN, by ``fill_BK2``: NaN × 0 would reach the gradients."""
    return target_BK2 if mask_BK is None else torch.where(mask_BK[..., None] > 0, target_BK2, fill_BK2)


class HeatmapLoss(nn.Module, ABC):
    """A supervised loss on heatmaps, together with the way to read and to draw the heatmaps it trains.

    The softmax over the pixels is what costs: a trainer that needs the heatmaps too (for the discriminator,
    for metrics) calls :meth:`heatmaps` once and passes the result to :meth:`forward_from_probabilities`,
    :meth:`points` and :meth:`covariance`.

    Args:
        true_scale: scale of the true heatmap, px.
        beta: β of the spatial softmax (eq. 2).

    Raises:
        ConfigError: a scale or β that is not a positive number.
    """

    needs: ClassVar[Needs] = "heatmaps"

    def __init__(self, true_scale: float = 1.0, beta: float = 1.0) -> None:
        super().__init__()
        for name, value in (("true_scale", true_scale), ("beta", beta)):
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"{type(self).__name__}: {name} is {value}; it must be a positive number")
        self.true_scale = true_scale
        self.beta = beta

    @abstractmethod
    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Loss of each landmark, (B, K): the one method of a loss, of the same form for all three bases.

        Args:
            p_BKHW: the prediction, :meth:`heatmaps`.
            target_BK2: px of the heatmap grid, finite; a masked landmark's is :meth:`stand_in`.
            mask_BK: where a target is known, for losses that look at a landmark's neighbours.
        """

    @abstractmethod
    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Draw ω(s), the heatmaps p_BKHW this loss holds for true; all zero where masked.

        Args:
            target_BK2: landmarks, px.
            size: (h, w).
            mask_BK: where a landmark is annotated.
        """

    def forward(self, logits_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Mean loss over the annotated landmarks.

        Args:
            logits_BKHW: scores from the generator.
            target_BK2: landmarks, px of the heatmap grid; masked ones may be anything, NaN included.
            mask_BK: where a landmark is annotated; None where all are.

        Returns:
            scalar.
        """
        return self.forward_from_probabilities(self.heatmaps(logits_BKHW), target_BK2, mask_BK)

    def forward_from_probabilities(
        self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None
    ) -> Tensor:
        """As :meth:`forward`, from :meth:`heatmaps` already computed."""
        target_BK2 = fill_masked(target_BK2, mask_BK, self.stand_in(p_BKHW).to(target_BK2.dtype))
        return masked_mean(self.per_landmark(p_BKHW, target_BK2, mask_BK), mask_BK)

    def stand_in(self, p_BKHW: Tensor) -> Tensor:
        """Finite points that take the place of masked targets, px, as (B, K, 2) or of fewer dimensions: the centre."""
        return p_BKHW.new_tensor([(p_BKHW.shape[-1] - 1) / 2, (p_BKHW.shape[-2] - 1) / 2])

    def heatmaps(self, logits_BKHW: Tensor) -> Tensor:
        """Normalised heatmaps p_BKHW; losses on values of pixels return those values instead."""
        return spatial_softmax(logits_BKHW, self.beta)

    def points(self, p_BKHW: Tensor) -> Tensor:
        """Landmarks that :meth:`heatmaps` stand for, points_BK2 in px."""
        return mean(p_BKHW)

    def covariance(self, p_BKHW: Tensor) -> Tensor:
        """Uncertainty that :meth:`heatmaps` stand for, (B, K, 2, 2) in px² of the heatmap grid."""
        return decode.covariance(p_BKHW)

    def decode(self, logits_BKHW: Tensor) -> Tensor:
        """Predicted landmarks, points_BK2 in px (eq. 2)."""
        return self.points(self.heatmaps(logits_BKHW))
