"""Element-wise dropout that is cheap on a CPU.

``F.dropout`` draws one Bernoulli number per element, about 8 ns each there: a quarter of a training step of
the narrow generators of Robinson et al. (ICCV 2019, table 3). Here one 64-bit random integer decides four
elements.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEVELS = 1 << 16


def keep_mask(like: Tensor, probability: float) -> Tensor:
    """Random factors for dropout: 0 with ``probability``, else what keeps the expectation at 1.

    Drawn from the global generator of the tensor's device. The probability is rounded to a multiple of 2⁻¹⁶,
    and the factor is exact for the rounded one, so the mean is unbiased.

    Args:
        like: tensor whose shape, strides, type and device the factors take; dense, as convolutions return.
        probability: in [0, 1).

    Returns:
        mask like ``like``.
    """
    dropped = min(round(probability * _LEVELS), _LEVELS - 1)
    count = like.numel()
    words = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device).random_(-(2**63), None)
    lowest_kept = float(dropped - _LEVELS // 2)
    # Clamping integers between two neighbours is a comparison that stays in float; bool takes twice as long.
    flat = words.view(torch.int16)[:count].float().clamp_(lowest_kept - 1.0, lowest_kept)
    flat = flat.sub_(lowest_kept - 1.0).mul_(_LEVELS / (_LEVELS - dropped)).to(like.dtype)
    # The numbers are independent, so their order does not matter: follow the memory, whatever the layout.
    return flat.as_strided(like.shape, like.stride())
