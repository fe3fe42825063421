"""True heatmaps ω(s): what a heatmap is when the landmark is known.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, section 3.2 (ω) and 3.1 (Laplace(s, 1),
Gaussian(s, 1)).

Shapes: points_BK2 (x, y) in px, pixel-centre convention; p_BKHW probabilities that sum to 1 over h × w.

A pixel's value is the mass of the density over the pixel's square, not the density at its centre: the drawn
heatmap then keeps the mean and the scale it was asked for when the point lies between pixels (b = 1: mean
within 0.008 px, scale 0.96 where sampling at centres gives 0.85). Mass beyond the border is left out and the
rest renormalised. Everything is done on logarithms, so a point far outside the grid still gives a proper
distribution, at the border nearest to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pipeline.heatmaps.separable import separable_heatmaps


def laplace_heatmaps(
    points_BK2: Tensor, size: tuple[int, int], scale: float = 1.0, mask_BK: Tensor | None = None
) -> Tensor:
    """Product of a Laplace(x, b) and a Laplace(y, b) on the pixel grid.

    Args:
        points_BK2: landmarks, px; may lie outside the grid. Masked ones may be anything, NaN included.
        size: (h, w) of the heatmaps.
        scale: b, px.
        mask_BK: True where a landmark is known; the others get an all-zero heatmap.

    Returns:
        p_BKHW, at least float32.

    Example:
        >>> laplace_heatmaps(torch.tensor([[[40.0, 12.5]]]), (80, 80)).sum().round().item()
        1.0
    """
    half = 0.5 / scale
    log_sinh_half = half + math.log1p(-math.exp(-2.0 * half)) - math.log(2.0)

    def log_mass(distance: Tensor) -> Tensor:
        ratio = distance / scale
        # Only the pixel that holds the point reaches the second form; the clamp keeps cosh finite elsewhere.
        inside = torch.log1p(-math.exp(-half) * torch.cosh(ratio.clamp(max=half)))
        return torch.where(ratio < half, inside, log_sinh_half - ratio)

    return separable_heatmaps(points_BK2, size, _normalised(log_mass), mask_BK)


def gaussian_heatmaps(
    points_BK2: Tensor, size: tuple[int, int], sigma: float = 1.0, mask_BK: Tensor | None = None
) -> Tensor:
    """Isotropic Gaussian(s, σ) on the pixel grid.

    Args:
        points_BK2: landmarks, px; may lie outside the grid. Masked ones may be anything, NaN included.
        size: (h, w) of the heatmaps.
        sigma: σ, px.
        mask_BK: True where a landmark is known; the others get an all-zero heatmap.

    Returns:
        p_BKHW, at least float32.
    """

    def log_mass(distance: Tensor) -> Tensor:
        # The left tail by symmetry: there differences of the distribution function keep their digits.
        upper = torch.special.log_ndtr((0.5 - distance) / sigma)
        lower = torch.special.log_ndtr((-0.5 - distance) / sigma)
        return upper + torch.log1p(-torch.exp(lower - upper))

    return separable_heatmaps(points_BK2, size, _normalised(log_mass), mask_BK)


def _normalised(log_mass: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda distance_BKN: log_mass(distance_BKN.abs()).softmax(-1)
