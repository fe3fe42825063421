"""The bases of losses on points, which also go with a network that puts out heatmaps.

Shapes: points_BK2 and target_BK2 (x, y) in px of one and the same grid (a regressor's input, or a heatmap);
mask_BK True (or a weight ≥ 0) where a landmark is annotated; factor_BK22 lower-triangular L of a covariance Σ
= LLᵀ, px.

``needs`` says what a loss reads, so that a pair that cannot work is found before anything is trained:

- "heatmaps", :class:`~pipeline.losses.base.HeatmapLoss`: generators of heatmaps;
- "points", :class:`CoordinateLoss`: regressors, and generators of heatmaps through
  :class:`~pipeline.losses.decoded.Decoded`;
- "covariance", :class:`CovarianceLoss`: networks that put out L, and generators through ``Decoded``, which
  reads L from the heatmap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from pipeline.losses.base import Needs, fill_masked, masked_mean
from pipeline.precision import at_least_float32


class Gaussian(NamedTuple):
    """A prediction with its uncertainty.

    Attributes:
        points_BK2: the mean, px.
        factor_BK22: lower-triangular L of the covariance Σ = LLᵀ, px; what lies above the diagonal is not read.
    """

    points_BK2: Tensor
    factor_BK22: Tensor


class CoordinateLoss(nn.Module, ABC):
    """A supervised loss on points."""

    needs: ClassVar[Needs] = "points"

    @abstractmethod
    def per_landmark(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Loss of each landmark, (B, K); see :meth:`pipeline.losses.base.HeatmapLoss.per_landmark`.

        Args:
            points_BK2: the prediction, px, at least float32.
            target_BK2: px, finite; a masked landmark's is its prediction.
            mask_BK: where a target is known, for losses that look at a landmark's neighbours.
        """

    def forward(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Mean loss over the annotated landmarks.

        Args:
            points_BK2: predicted, px.
            target_BK2: px; masked ones may be anything, NaN included.
            mask_BK: where a landmark is annotated; None where all are.

        Returns:
            scalar.
        """
        points_BK2 = at_least_float32(points_BK2)
        target_BK2 = fill_masked(target_BK2.to(points_BK2.dtype), mask_BK, points_BK2.detach())
        return masked_mean(self.per_landmark(points_BK2, target_BK2, mask_BK), mask_BK)


class CovarianceLoss(nn.Module, ABC):
    """A supervised loss on points that come with a covariance."""

    needs: ClassVar[Needs] = "covariance"

    @abstractmethod
    def per_landmark(self, predicted: Gaussian, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Loss of each landmark, (B, K); see :meth:`pipeline.losses.base.HeatmapLoss.per_landmark`.

        Args:
            predicted: px, at least float32.
            target_BK2: px, finite; a masked landmark's is its prediction.
            mask_BK: where a target is known, for losses that look at a landmark's neighbours.
        """

    def forward(self, predicted: Gaussian, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Mean loss over the annotated landmarks.

        Args:
            predicted: px.
            target_BK2: px; masked ones may be anything, NaN included.
            mask_BK: where a landmark is annotated; None where all are.

        Returns:
            scalar.
        """
        points_BK2 = at_least_float32(predicted.points_BK2)
        target_BK2 = fill_masked(target_BK2.to(points_BK2.dtype), mask_BK, points_BK2.detach())
        wide = Gaussian(points_BK2, at_least_float32(predicted.factor_BK22))
        return masked_mean(self.per_landmark(wide, target_BK2, mask_BK), mask_BK)
