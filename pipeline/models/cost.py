"""The cost of a model: parameters and multiply-accumulates of one image.

MACs are those of convolutions and matrix products, as the papers count them (their "FLOPs" are MACs);
normalisation, activations and interpolation are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Cost of a forward pass.

    Attributes:
        parameters: Trainable parameters.
        macs: Multiply-accumulates for one image.
        size: (h, w) of that image, px.
    """

    parameters: int
    macs: int
    size: tuple[int, int]

    def __str__(self) -> str:
        """As a paper's table would put it."""
        height, width = self.size
        return f"{self.parameters / 1e6:,.2f} M parameters, {self.macs / 1e9:,.2f} GMACs at {height}×{width}"


def cost(model: nn.Module, size: int | tuple[int, int]) -> Cost:
    """Count a model's parameters and MACs.

    Build the model under ``torch.device("meta")``: then nothing is computed and no memory is taken.

    Args:
        model: maps images (1, 3, h, w) to anything. Its mode is the same afterwards.
        size: side, or (h, w), of the image.

    Returns:
        The cost.

    Example:
        >>> from pipeline.models.rcn import RCN
        >>> with torch.device("meta"):
        ...     print(cost(RCN(68, 64), 80))
        1.87 M parameters, 3.09 GMACs at 80×80
    """
    height, width = (size, size) if isinstance(size, int) else size
    parameter = next(model.parameters())
    image = torch.zeros(1, 3, height, width, device=parameter.device, dtype=parameter.dtype)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(image)
    finally:
        model.train(training)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Cost(parameters, counter.get_total_flops() // 2, (height, width))
