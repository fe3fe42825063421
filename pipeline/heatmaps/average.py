"""Decoders that average the pixels of a heatmap: differentiable and sub-pixel.

Sources: Yan et al., "2D Wasserstein Loss for Robust Facial Landmark Detection", Pattern Recognition 2021, eq.
6 (barycentre, "GET_BC"); Kumar et al., "UGLLI Face Alignment", ICCVW 2019, section 3.1 (mean of the ReLU,
temperature softmax).

Each is the mean, :func:`pipeline.heatmaps.decode.mean`, of the heatmap turned into a distribution: functions
``…_weights`` return that distribution, from which the covariance can be read as well.

Shapes: scores_BKHW what the network puts out; heatmaps_BKHW what a loss makes of it (probabilities, or values
around 0 … 1); p_BKHW sums to 1 over h × w; points (x, y) in px.

Corner: a heatmap without a positive value is taken for a flat one, so the point is the centre of the grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.heatmaps.decode import mean, spatial_softmax
from pipeline.precision import at_least_float32


def relu_weights(scores_BKHW: Tensor) -> Tensor:
    """max(h, 0), normalised to p_BKHW, at least float32."""
    positive_BKHW = at_least_float32(scores_BKHW).relu()
    total_BK11 = positive_BKHW.sum((-2, -1), keepdim=True)
    flat = 1.0 / (scores_BKHW.shape[-2] * scores_BKHW.shape[-1])
    some = total_BK11 > 0
    return torch.where(some, positive_BKHW / torch.where(some, total_BK11, 1.0), flat)


def relu_mean(scores_BKHW: Tensor) -> Tensor:
    """Mean estimator of UGLLI: expected pixel under the positive part of the network's output, points_BK2."""
    return mean(relu_weights(scores_BKHW))


def barycentre(heatmaps_BKHW: Tensor) -> Tensor:
    """Eq. 6 of Yan et al.: Σ q H(q), points_BK2.

    On probabilities it is the plain mean. The paper's H sums to 1; values that don't (heatmap L2) are
    normalised here, and negative ones, which no distribution has, count as 0.
    """
    return mean(relu_weights(heatmaps_BKHW))


def temperature_weights(scores_BKHW: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(h / T) over the pixels, p_BKHW: T → 0 is the argmax, T → ∞ the flat distribution."""
    return spatial_softmax(scores_BKHW, 1.0 / temperature)


def temperature_softargmax(scores_BKHW: Tensor, temperature: float = 1.0) -> Tensor:
    """Expected pixel under softmax(h / T), points_BK2: UGLLI's "τ-s-amax"."""
    return mean(temperature_weights(scores_BKHW, temperature))
