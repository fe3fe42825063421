"""Decoders that look for the peak of a heatmap: precise on sharp heatmaps, without a useful gradient.

Sources: Newell et al., "Stacked Hourglass Networks", ECCV 2016 (quarter-pixel shift; "GET_MAX" of Yan et al.,
Pattern Recognition 2021, eq. 5); Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose
Estimation", CVPR 2020, eqs. 3–9 (DARK).

Shapes: heatmaps_BKHW of values ≥ 0, probabilities or not; points (x, y) in px, the centre of the top-left
pixel at (0, 0).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.precision import at_least_float32, wide_dtype


@torch.no_grad()
def argmax(heatmaps_BKHW: Tensor) -> Tensor:
    """Pixel of the largest value, points_BK2; the first in reading order among equals."""
    width = heatmaps_BKHW.shape[-1]
    index_BK = heatmaps_BKHW.flatten(2).argmax(-1)
    return torch.stack((index_BK % width, index_BK // width), dim=-1).to(wide_dtype(heatmaps_BKHW))


@torch.no_grad()
def quarter_shift(heatmaps_BKHW: Tensor) -> Tensor:
    """The argmax, moved a quarter of a pixel towards the larger neighbour, per axis; points_BK2.

    An axis with equal neighbours, or whose peak lies on the border, is not moved.
    """
    patch_BK33 = _around_peak(heatmaps_BKHW)
    shift_BK2 = torch.stack(
        (patch_BK33[..., 1, 2] - patch_BK33[..., 1, 0], patch_BK33[..., 2, 1] - patch_BK33[..., 0, 1]), dim=-1
    ).sign()
    points_BK2 = argmax(heatmaps_BKHW)
    return points_BK2 + 0.25 * torch.where(_inside(points_BK2, heatmaps_BKHW), shift_BK2, 0.0)


@torch.no_grad()
def dark(heatmaps_BKHW: Tensor, blur: float = 0.0) -> Tensor:
    """DARK: one Newton step from the argmax on the logarithm of the heatmap, −D″⁻¹ D′ (eq. 8).

    On a Gaussian heatmap the logarithm is a parabola and the step is exact.

    Deviations: the derivatives come from the 3 × 3 pixels around the peak, where the authors' program uses
    5 × 5, so that only a peak on the very border is left where it is; the step is at most 0.5 px per axis, as a
    maximum farther away would be another pixel's; a Hessian that is not negative definite gives no step.

    Args:
        heatmaps_BKHW: values ≥ 0.
        blur: σ, px, of the smoothing that comes first (eq. 9); the paper takes that of the training heatmaps. 0
            is none.

    Returns:
        points_BK2, px.
    """
    heatmaps_BKHW = at_least_float32(heatmaps_BKHW)
    if blur > 0.0:
        heatmaps_BKHW = _blurred(heatmaps_BKHW, blur)
    points_BK2 = argmax(heatmaps_BKHW)
    # Relative to the peak, so that probabilities of any size keep their digits; an empty neighbour stays finite.
    patch = _around_peak(heatmaps_BKHW)
    log = (patch / patch[..., 1:2, 1:2].clamp(min=torch.finfo(patch.dtype).tiny)).clamp(min=1e-12).log()
    dx = 0.5 * (log[..., 1, 2] - log[..., 1, 0])
    dy = 0.5 * (log[..., 2, 1] - log[..., 0, 1])
    dxx = log[..., 1, 2] - 2 * log[..., 1, 1] + log[..., 1, 0]
    dyy = log[..., 2, 1] - 2 * log[..., 1, 1] + log[..., 0, 1]
    dxy = 0.25 * (log[..., 2, 2] - log[..., 2, 0] - log[..., 0, 2] + log[..., 0, 0])
    determinant = dxx * dyy - dxy.square()
    peaked = (dxx < 0) & (determinant > 0)
    safe = torch.where(peaked, determinant, 1.0)
    step_BK2 = torch.stack(((dxy * dy - dyy * dx) / safe, (dxy * dx - dxx * dy) / safe), dim=-1)
    usable_BK2 = _inside(points_BK2, heatmaps_BKHW).all(-1, keepdim=True) & peaked[..., None]
    return points_BK2 + torch.where(usable_BK2, step_BK2.clamp(-0.5, 0.5), 0.0)


def _inside(points_BK2: Tensor, heatmaps_BKHW: Tensor) -> Tensor:
    """Per axis, whether the peak has a neighbour on both sides."""
    last_2 = points_BK2.new_tensor([heatmaps_BKHW.shape[-1] - 1, heatmaps_BKHW.shape[-2] - 1])
    return (points_BK2 > 0) & (points_BK2 < last_2)


def _around_peak(heatmaps_BKHW: Tensor) -> Tensor:
    """The 3 × 3 values around the argmax, patch_BK33[…, y, x]; the border is repeated outwards."""
    height, width = heatmaps_BKHW.shape[-2:]
    index_BK = heatmaps_BKHW.flatten(2).argmax(-1)
    step_3 = torch.arange(-1, 2, device=heatmaps_BKHW.device)
    x_BK3 = ((index_BK % width)[..., None] + step_3).clamp(0, width - 1)
    y_BK3 = ((index_BK // width)[..., None] + step_3).clamp(0, height - 1)
    flat_BK9 = (y_BK3[..., :, None] * width + x_BK3[..., None, :]).flatten(2)
    return heatmaps_BKHW.flatten(2).gather(2, flat_BK9).unflatten(2, (3, 3))


def _blurred(heatmaps_BKHW: Tensor, sigma: float) -> Tensor:
    reach = max(1, math.ceil(3 * sigma))
    grid = torch.arange(-reach, reach + 1, dtype=heatmaps_BKHW.dtype, device=heatmaps_BKHW.device)
    kernel = torch.exp(-0.5 * (grid / sigma).square())
    kernel = kernel / kernel.sum()
    shape = heatmaps_BKHW.shape
    single = heatmaps_BKHW.reshape(-1, 1, *shape[-2:])
    single = F.conv2d(single, kernel.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(single, kernel.view(1, 1, -1, 1), padding=(reach, 0)).view(shape)
