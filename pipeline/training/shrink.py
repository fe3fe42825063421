"""Shrink regression: a label that is right only nearly asks for less than its point, and for more as training goes on.

Source: Jin et al., "Rethinking Self-training for Semi-supervised Landmark Detection: A Selection-free Approach" (STLD), arXiv
2404.04556: later rounds of self-training use pseudo-labels "directly … in a coarse-to-fine manner".

The paper's own formula is not reproduced; this one follows its idea for any loss, on points or on heatmaps. A pseudo-label s says
that the landmark lies within r px of it. The target is the point of that disc nearest to the prediction μ,

    t = s + (μ − s) · min(1, r / |μ − s|),

so that a prediction inside of the disc is not drawn anywhere, one outside is drawn to its rim, and with r = 0 t = s is ordinary
regression. r falls linearly from its first value to 0. No gradient flows through t.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.training.config.data import ShrinkConfig


def radius_at(config: ShrinkConfig, step: int, steps: int, input_size: int) -> float:
    """r, px of the network's input, in optimizer step ``step`` (0-based) of ``steps``."""
    left = 1.0 - step / max(steps * config.until, 1.0)
    return config.radius * input_size * max(left, 0.0)


def shrunk_targets(predicted_BK2: Tensor, target_BK2: Tensor, radius_B: Tensor) -> Tensor:
    """Where each landmark is asked to go.

    Args:
        predicted_BK2: μ, px of the input.
        target_BK2: s; NaN stays NaN.
        radius_B: r of each face, px; a face with 0 keeps its targets to the bit.

    Returns:
        (B, K, 2) without gradient.
    """
    difference_BK2 = predicted_BK2.detach().to(target_BK2.dtype) - target_BK2
    distance_BK1 = difference_BK2.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    radius_B11 = radius_B.to(target_BK2.dtype)[:, None, None]
    nearest_BK2 = target_BK2 + difference_BK2 * (radius_B11 / distance_BK1).clamp(max=1.0)
    return torch.where(radius_B11 > 0, nearest_BK2, target_BK2)
