"""RMSprop, as in UGLLI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn


def rmsprop(
    params: Iterable[nn.Parameter],
    lr: Annotated[float, Field(gt=0)] = 1e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5,
    smoothing: Annotated[float, Field(gt=0, lt=1)] = 0.99,
) -> torch.optim.Optimizer:
    """Torch's RMSprop.

    Args:
        params: Of the network.
        lr: Kumar et al., section 4: 1e-4.
        weight_decay: L2 on the gradient.
        smoothing: Decay of the squared gradient's mean.
    """
    return torch.optim.RMSprop(params, lr=lr, alpha=smoothing, weight_decay=weight_decay)


OPTIMIZER = rmsprop
