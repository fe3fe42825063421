"""Decoding of heatmaps: points, and measures of their certainty.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, eq. 2 and τ of section 3.1.

Shapes: logits_BKHW any real scores, p_BKHW probabilities that sum to 1 over h × w; points (x, y) in px, the
centre of the top-left pixel at (0, 0). Half-precision inputs are accumulated and returned in float32.

Mean and per-axis scale depend on the two 1-D marginals alone, so nothing of size h × w but the probabilities
is made.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from pipeline.precision import at_least_float32, wide_dtype


class HeatmapMoments(NamedTuple):
    """Location and spread of heatmaps, per axis.

    Attributes:
        mean_BK2: expectation (x, y), px.
        scale_BK2: per axis, mean absolute deviation (px) for order 1, variance (px²) for order 2.
    """

    mean_BK2: Tensor
    scale_BK2: Tensor


def spatial_softmax(logits_BKHW: Tensor, beta: float = 1.0) -> Tensor:
    """Probabilities of eq. 2, softmax(β h) over the pixels of each heatmap.

    Args:
        logits_BKHW: scores.
        beta: β, the sharpness (1 in the paper).

    Returns:
        p_BKHW, contiguous, at least float32.
    """
    logits = logits_BKHW if beta == 1.0 else logits_BKHW * beta
    return logits.flatten(2).softmax(-1, dtype=wide_dtype(logits)).view(logits.shape)


def softargmax(logits_BKHW: Tensor, beta: float = 1.0) -> Tensor:
    """Expected pixel under the spatial softmax (eq. 2).

    Args:
        logits_BKHW: scores.
        beta: β, the sharpness.

    Returns:
        points_BK2, px.

    Example:
        >>> softargmax(torch.zeros(1, 1, 3, 5)).tolist()
        [[[2.0, 1.0]]]
    """
    return mean(spatial_softmax(logits_BKHW, beta))


def mean(p_BKHW: Tensor) -> Tensor:
    """Expectation of each heatmap, points_BK2 in px."""
    return torch.stack([_expectation(axis_BKN)[0] for axis_BKN in _marginals(p_BKHW)], dim=-1)


def moments(p_BKHW: Tensor, order: Literal[1, 2]) -> HeatmapMoments:
    """Mean and per-axis spread: b = E|x − E x| (order 1, Laplace) or σ² = E(x − E x)² (order 2, Gaussian).

    Args:
        p_BKHW: probabilities.
        order: α of τ.
    """
    means: list[Tensor] = []
    scales: list[Tensor] = []
    for axis_BKN in _marginals(p_BKHW):
        mean_BK, deviation_BKN = _expectation(axis_BKN)
        spread_BKN = deviation_BKN.abs() if order == 1 else deviation_BKN.square()
        means.append(mean_BK)
        scales.append((axis_BKN * spread_BKN).sum(-1))
    return HeatmapMoments(torch.stack(means, dim=-1), torch.stack(scales, dim=-1))


def tau(p_BKHW: Tensor, order: Literal[1, 2]) -> Tensor:
    """τ(h) = Σ p(x) ‖x − s̃‖_α^α of section 3.1: the sum over both axes.

    Args:
        p_BKHW: probabilities.
        order: α; 1 gives px, 2 gives px².

    Returns:
        tau_BK.
    """
    return moments(p_BKHW, order).scale_BK2.sum(-1)


@torch.no_grad()
def scatter(p_BKHW: Tensor) -> Tensor:
    """Mean Euclidean distance from the mean, E‖x − s̃‖₂ in px: the paper's "vary … pixels from the mean".

    The one measure here that needs the distance at every pixel, and a diagnostic only, so it keeps no graph.

    Args:
        p_BKHW: probabilities.

    Returns:
        scatter_BK, px.
    """
    x_BKW, y_BKH = (_expectation(axis_BKN)[1] for axis_BKN in _marginals(p_BKHW))
    # One sample at a time: a distance map of the whole batch would be as large as the heatmaps.
    rows = [
        (torch.hypot(x_KW[:, None, :], y_KH[:, :, None]).mul_(p_KHW)).sum((-2, -1))
        for x_KW, y_KH, p_KHW in zip(x_BKW, y_BKH, p_BKHW, strict=True)
    ]
    return torch.stack(rows) if rows else x_BKW.new_zeros(x_BKW.shape[:2])


def covariance(p_BKHW: Tensor) -> Tensor:
    """Covariance of the pixel under each heatmap.

    Args:
        p_BKHW: probabilities.

    Returns:
        covariance (B, K, 2, 2), px², axes in the order (x, y).
    """
    p_BKHW = at_least_float32(p_BKHW)
    marginal_x_BKW, marginal_y_BKH = _marginals(p_BKHW)
    x_BKW = _expectation(marginal_x_BKW)[1]
    y_BKH = _expectation(marginal_y_BKH)[1]
    xx_BK = (marginal_x_BKW * x_BKW.square()).sum(-1)
    yy_BK = (marginal_y_BKH * y_BKH.square()).sum(-1)
    xy_BK = ((p_BKHW @ x_BKW[..., None]).squeeze(-1) * y_BKH).sum(-1)
    return torch.stack((xx_BK, xy_BK, xy_BK, yy_BK), dim=-1).unflatten(-1, (2, 2))


def _marginals(p_BKHW: Tensor) -> tuple[Tensor, Tensor]:
    """Distribution of x (B, K, w) and of y (B, K, h)."""
    dtype = wide_dtype(p_BKHW)
    return p_BKHW.sum(-2, dtype=dtype), p_BKHW.sum(-1, dtype=dtype)


def _expectation(marginal_BKN: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of a 1-D distribution over 0 … N−1, and each position's signed deviation from it."""
    grid_N = torch.arange(marginal_BKN.shape[-1], dtype=marginal_BKN.dtype, device=marginal_BKN.device)
    mean_BK = marginal_BKN @ grid_N
    return mean_BK, grid_N - mean_BK[..., None]
