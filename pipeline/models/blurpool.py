"""Pooling that halves the size: plain, or anti-aliased.

Source: Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019: a max-pooling of stride 2 is a dense
maximum, which shifts with its input, and a subsampling, which does not; a low-pass filter between the two makes
the result follow a shift of one pixel.

Shapes: x_BCHW → (B, C, h/2, w/2). Cell j is centred on x = 2j + ½ for both, as :mod:`pipeline.heatmaps.stride` has it:
the maximum of two pixels lies half a pixel to their right, the filter is symmetric.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError

Pool = Literal["max", "blur"]


class BlurPool(nn.Module):
    """Binomial low-pass filter (1 2 1)/4 in both directions, then every second pixel.

    Args:
        channels: C.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4.0
        self.register_buffer("kernel", (taps[:, None] * taps).expand(channels, 1, 3, 3).contiguous())

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Halve the size; the border is repeated, so a constant stays constant."""
        padded = F.pad(x_BCHW, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, self.kernel.to(x_BCHW.dtype), stride=2, groups=x_BCHW.shape[1])


class MaxBlurPool(nn.Module):
    """Maximum of 2 × 2 pixels at every pixel, then :class:`BlurPool`.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blur = BlurPool(channels)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Halve the size."""
        dense = F.max_pool2d(F.pad(x_BCHW, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        return self.blur(dense)


def make_pool(kind: Pool, channels: int) -> nn.Module:
    """A layer that halves the size.

    Args:
        kind: ``max``, or ``blur`` for the anti-aliased maximum.
        channels: of its input.

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in get_args(Pool):
        raise ConfigError(f"pool is '{kind}': choose from {', '.join(get_args(Pool))}")
    return MaxBlurPool(channels) if kind == "blur" else nn.MaxPool2d(2)
