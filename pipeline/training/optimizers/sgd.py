"""Stochastic gradient descent with Nesterov's momentum, the baseline of most of deep learning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn


def sgd(
    params: Iterable[nn.Parameter],
    lr: Annotated[float, Field(gt=0)] = 1e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5,
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9,
) -> torch.optim.Optimizer:
    """Torch's SGD.

    Args:
        params: Of the network.
        lr: Of the whole run.
        weight_decay: L2 on the gradient.
        momentum: Nesterov's; 0 is plain descent.
    """
    return torch.optim.SGD(params, lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=momentum > 0)


OPTIMIZER = sgd
