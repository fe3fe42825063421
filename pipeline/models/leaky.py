"""LeakyReLU(0.2), and weights drawn for it, as the networks of Robinson et al. (ICCV 2019, section 3.4) share them."""

from __future__ import annotations

from torch import nn

SLOPE = 0.2
"""Negative slope of every LeakyReLU."""


def initialise(module: nn.Module) -> None:
    """Kaiming-normal weights for LeakyReLU and zero biases; for ``Module.apply``, which hands it every layer."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=SLOPE, nonlinearity="leaky_relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
