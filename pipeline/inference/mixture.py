"""Several answers to one question as one: the even mixture of their distributions.

With answer m a distribution of mean μ_m and covariance Σ_m, the even mixture of M answers has mean μ = Σ_m μ_m / M and covariance
Σ_m (Σ_m + (μ_m − μ)(μ_m − μ)ᵀ) / M (Lakshminarayanan et al., "Deep Ensembles", NeurIPS 2017, section 2.4, in two dimensions):
answers disagree where networks are unsure, and their spread is a part of the covariance.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def mixture(points: Sequence[Tensor], covariances: Sequence[Tensor | None]) -> tuple[Tensor, Tensor | None]:
    """Mean and covariance of an even mixture.

    Args:
        points: (…, K, 2) of each answer, (x, y) in one unit.
        covariances: (…, K, 2, 2) of each, that unit squared; None from a model that states none.

    Returns:
        points (…, K, 2); covariance (…, K, 2, 2), None where one of the answers has none.
    """
    if len(points) == 1:
        return points[0], covariances[0]
    stacked_M = torch.stack(list(points))
    mean = stacked_M.mean(0)
    stated = [covariance for covariance in covariances if covariance is not None]
    if len(stated) < len(points):
        return mean, None
    off_M = stacked_M - mean
    return mean, torch.stack(stated).mean(0) + (off_M[..., :, None] * off_M[..., None, :]).mean(0)
