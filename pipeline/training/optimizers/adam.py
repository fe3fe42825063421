"""Adam, as in all five papers but UGLLI; AdamW where the weight decay is decoupled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

Beta = Annotated[float, Field(ge=0, lt=1)]


def adam(
    params: Iterable[nn.Parameter],
    lr: Annotated[float, Field(gt=0)] = 1e-3,
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    decoupled: bool = False,
) -> torch.optim.Optimizer:
    """Torch's Adam, or its AdamW.

    Args:
        params: Of the network.
        lr: Robinson et al., section 3.4.
        weight_decay: L2 on the gradient (Adam), decoupled (AdamW); section 3.4.
        betas: torch's defaults; the paper names none.
        decoupled: AdamW instead of Adam.
    """
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    return kind(params, lr=lr, betas=betas, weight_decay=weight_decay)


OPTIMIZER = adam
