"""Blocks that several generators share: convolution with batch norm, and the pre-activated bottleneck.

Sources: He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016; Newell et al., "Stacked Hourglass
Networks", ECCV 2016, figure 4.

Shapes: x_BCHW features. No convolution here has a bias: on every way to a nonlinearity a batch norm would subtract it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size (divided by ``stride``), batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def norm_conv(in_channels: int, out_channels: int, kernel: int = 1, bias: bool = False) -> nn.Sequential:
    """Batch norm, ReLU, convolution that keeps the size: the pre-activated order."""
    return nn.Sequential(
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=False),
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias),
    )


class Residual(nn.Module):
    """Pre-activated bottleneck: 1×1, 3×3, 1×1 with half the channels in the middle, added to its input.

    Args:
        in_channels: of the input.
        out_channels: of the output; where it differs, a 1×1 convolution takes the input there.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        middle = max(out_channels // 2, 1)
        self.body = nn.Sequential(
            norm_conv(in_channels, middle), norm_conv(middle, middle, 3), norm_conv(middle, out_channels)
        )
        self.skip: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features of ``out_channels`` and the input's size."""
        return self.skip(x_BCHW) + self.body(x_BCHW)


class ImageNetNorm(nn.Module):
    """RGB in [0, 1] → mean 0 and deviation 1 of ImageNet, as pretrained backbones expect."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Normalise a batch of images."""
        return (image_B3HW - self.mean) / self.deviation
