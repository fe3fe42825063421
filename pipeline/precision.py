"""The rule for half precision: what a landmark's place depends on is computed in float32 at least.

A bfloat16 has 8 significant bits: a point at 200 px would move in steps of 1 px. Wider types are kept, so that float64 checks
float32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def wide_dtype(values: Tensor) -> torch.dtype:
    """The type to compute in: float32 for half precision and whole numbers, otherwise the values' own."""
    return torch.promote_types(values.dtype, torch.float32)


def at_least_float32(values: Tensor) -> Tensor:
    """The values in that type; no copy where they have it."""
    return values.to(wide_dtype(values))
