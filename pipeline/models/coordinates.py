"""CoordConv: convolutions that see where they are.

Source: Liu et al., "An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution", NeurIPS
2018. Used by ADNet (ICCV 2021, section 3) and by Yan et al. (Pattern Recognition 2021, section 6), who replace
every convolution.

Shapes: x_BCHW features; coordinates (x, y) run from −1 at the first pixel's centre to 1 at the last's, the radius
from 0 at the middle to 1 in the corners.

The weights of the coordinates start at zero. Their gradient does not depend on them, so they learn from the first
step, and a network that gets coordinates computes at first what it computed without: pretrained weights stay
what they were.
"""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError

Where = Literal["none", "first", "all"]

_Module = TypeVar("_Module", bound=nn.Module)


def coordinate_channels(like: Tensor, radius: bool = False) -> Tensor:
    """The channels that say where a pixel is.

    Args:
        like: features (B, C, h, w) whose size, type and device they take.
        radius: add the distance from the middle.

    Returns:
        (B, 2 or 3, h, w): x, y and the radius; expanded over B, not copied.
    """
    batch, _, height, width = like.shape
    x_W = torch.linspace(-1.0, 1.0, width, dtype=like.dtype, device=like.device)
    y_H = torch.linspace(-1.0, 1.0, height, dtype=like.dtype, device=like.device)
    channels = [x_W.expand(height, width), y_H[:, None].expand(height, width)]
    if radius:
        x_HW, y_HW = channels
        channels.append(((x_HW.square() + y_HW.square()) / 2.0).sqrt())  # ONNX knows no hypot
    return torch.stack(channels).expand(batch, -1, -1, -1)


class CoordConv2d(nn.Conv2d):
    """A convolution whose input is joined by its coordinates.

    Args:
        like: the convolution that gets them: its sizes and its weights are taken over.
        radius: add the distance from the middle as a third coordinate.

    Raises:
        ConfigError: a grouped convolution, in which the coordinates would belong to no group.
    """

    def __init__(self, like: nn.Conv2d, radius: bool = False) -> None:
        if like.groups != 1:
            raise ConfigError("CoordConv2d: a grouped convolution cannot take coordinates")
        super().__init__(
            like.in_channels + (3 if radius else 2),
            like.out_channels,
            like.kernel_size,  # type: ignore[arg-type]
            like.stride,  # type: ignore[arg-type]
            like.padding,  # type: ignore[arg-type]
            like.dilation,  # type: ignore[arg-type]
            bias=like.bias is not None,
            padding_mode=like.padding_mode,
            device=like.weight.device,
            dtype=like.weight.dtype,
        )
        self.radius = radius
        with torch.no_grad():
            self.weight.zero_()
            self.weight[:, : like.in_channels].copy_(like.weight)
            if like.bias is not None and self.bias is not None:
                self.bias.copy_(like.bias)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Convolve features (B, C, h, w) and their coordinates."""
        return super().forward(torch.cat((x_BCHW, coordinate_channels(x_BCHW, self.radius)), dim=1))


def add_coordinates(model: _Module, where: Where, radius: bool = False) -> _Module:
    """Give coordinates to the first convolution of a network, or to all of them, in place.

    Call it once the weights are drawn or loaded. Transposed and grouped convolutions are left as they are.

    Args:
        model: any network; the first convolution is the first that is registered.
        where: which convolutions; ``none`` changes nothing.
        radius: add the distance from the middle as a third coordinate.

    Returns:
        ``model``.

    Raises:
        ConfigError: an unknown place, or a network without a convolution to change.
    """
    if where not in get_args(Where):
        raise ConfigError(f"coord_conv is '{where}': choose from {', '.join(get_args(Where))}")
    if where == "none":
        return model
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and not isinstance(module, CoordConv2d) and module.groups == 1
    ]
    if not found:
        raise ConfigError(f"coord_conv = {where}: {type(model).__name__} has no convolution to change")
    for name in found[:1] if where == "first" else found:
        convolution = model.get_submodule(name)
        assert isinstance(convolution, nn.Conv2d)
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, CoordConv2d(convolution, radius))
    return model
