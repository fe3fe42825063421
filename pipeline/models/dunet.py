"""DU-Net: densely connected U-nets, with UGLLI's Cholesky Estimator Network on their bottlenecks.

Sources: Tang et al., "Quantized Densely Connected U-Nets for Efficient Landmark Localization", ECCV 2018 (order-K
connections, the sizes of its public code); Kumar et al., "UGLLI Face Alignment", ICCVW 2019, section 3, figure 2.

Shapes: image (B, 3, H, W) → per U-net heatmaps (B, K, H/s, W/s) and entries of L (B, K, 3), input px. w = ``width``, g =
``growth``, i the number of the U-net, j = min(i, order).

A *semantic block* is a place in the U: levels 1 … 4 on the way down, the bottleneck, levels 4 … 1 on the way up. In U-net i
a block takes what comes to it and what the same block of the last j U-nets found, and finds g channels more:

===============  =============================================================================
stem             7×7, 3→w, stride 2, batch norm, ReLU; pool
joint            for i > 0, 1×1 of U-net i−1's result and the inputs of the last j U-nets → w
block            1×1 → 4g, 3×3 → g, of input and the j sets of g channels
adapter          1×1 of all of these → w, the block's result; another one for the skip on the way down
head             1×1 w→K
===============  =============================================================================

every convolution after the stem pre-activated (batch norm, ReLU). Blocks on the way up take 2w channels, the coarser
result and the skip. UGLLI's bottleneck, 128 × 4 × 4 of 256 × 256 pixels, is w = 128 at stride 4.

The number of U-nets is not in the UGLLI paper: 4 by default. Adapters of the last U-net that lead nowhere do not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.models.blurpool import Pool, make_pool
from pipeline.models.cholesky import CholeskyEstimator
from pipeline.models.coordinates import Where, add_coordinates
from pipeline.models.output import Output, Stage, check_images
from pipeline.models.residual import conv_norm, norm_conv

LEVELS = 4
_NECK = 4  # channels of a block's 1×1 in units of its growth, as DenseNet


class Block(nn.Module):
    """A semantic block of one U-net.

    Args:
        in_channels: of its input.
        reused: sets of ``growth`` channels from the U-nets before.
        growth: g.
        width: channels of its result.
        skip: whether it has an adapter for the skip.
    """

    def __init__(self, in_channels: int, reused: int, growth: int, width: int, skip: bool = False) -> None:
        super().__init__()
        known = in_channels + reused * growth
        self.find = nn.Sequential(norm_conv(known, _NECK * growth), norm_conv(_NECK * growth, growth, 3))
        self.ahead = norm_conv(known + growth, width)
        self.aside = norm_conv(known + growth, width) if skip else None

    def forward(self, x_BCHW: Tensor, reused: Sequence[Tensor]) -> tuple[Tensor, Tensor | None, Tensor]:
        """Result, skip, and the channels found, for the U-nets to come."""
        known = torch.cat((x_BCHW, *reused), dim=1)
        found = self.find(known)
        known = torch.cat((known, found), dim=1)
        return self.ahead(known), None if self.aside is None else self.aside(known), found


class UNet(nn.Module):
    """One U of semantic blocks.

    Args:
        width: w.
        growth: g.
        reused: sets of channels each block gets from the U-nets before.
        pool: how the size is halved.
    """

    def __init__(self, width: int, growth: int, reused: int, pool: Pool) -> None:
        super().__init__()
        self.down = nn.ModuleList(Block(width, reused, growth, width, skip=True) for _ in range(LEVELS))
        self.neck = Block(width, reused, growth, width)
        self.up = nn.ModuleList(Block(2 * width, reused, growth, width) for _ in range(LEVELS))
        self.pools = nn.ModuleList(make_pool(pool, width) for _ in range(LEVELS))

    def forward(
        self, x_BCHW: Tensor, reused: Sequence[Sequence[Tensor]]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Run the U.

        Args:
            x_BCHW: features.
            reused: of each U-net before, what its blocks found, in the order in which they run.

        Returns:
            Features of the input's size, the bottleneck, and what the blocks found.
        """
        skips: list[Tensor] = []
        found: list[Tensor] = []

        def run(block: nn.Module, x: Tensor) -> Tensor:
            ahead, skip, new = block(x, [earlier[len(found)] for earlier in reused])
            found.append(new)
            if skip is not None:
                skips.append(skip)
            return ahead

        for block, pool in zip(self.down, self.pools, strict=True):
            x_BCHW = pool(run(block, x_BCHW))
        bottleneck = x_BCHW = run(self.neck, x_BCHW)
        for block in self.up:
            coarse = F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
            x_BCHW = run(block, torch.cat((coarse, skips.pop()), dim=1))
        return x_BCHW, bottleneck, found


class DUNet(nn.Module):
    """Densely connected U-nets, each supervised.

    Args:
        num_landmarks: K.
        input_size: side of the input, px; fixes the size of the Cholesky network's input.
        stacks: U-nets.
        order: U-nets before whose findings are reused; 1 is the paper's choice.
        width: w; 128 is the paper's.
        growth: g; 32 is the paper's.
        stride: input pixels per heatmap cell: 4 as in the paper, 2 or 1.
        cholesky: whether to estimate covariances.
        pool: ``max``, or ``blur`` for anti-aliased pooling.
        coord_conv: which convolutions see coordinates.

    Raises:
        ConfigError: a size out of range.

    Example:
        >>> output = DUNet(num_landmarks=5, input_size=64, stacks=2, width=8, growth=4)(torch.rand(2, 3, 64, 64))
        >>> output.last.heatmaps.shape, output.last.cholesky.shape
        (torch.Size([2, 5, 16, 16]), torch.Size([2, 5, 3]))
    """

    gives: frozenset[str] = frozenset({"heatmaps", "cholesky"})
    stride: int = 4
    input_multiple: int = 2**LEVELS

    def __init__(
        self,
        num_landmarks: int = 68,
        input_size: int = 256,
        stacks: int = 4,
        order: int = 1,
        width: int = 128,
        growth: int = 32,
        stride: Literal[1, 2, 4] = 4,
        cholesky: bool = True,
        pool: Pool = "max",
        coord_conv: Where = "none",
    ) -> None:
        super().__init__()
        for name, value in (
            ("num_landmarks", num_landmarks),
            ("stacks", stacks),
            ("width", width),
            ("growth", growth),
        ):
            if value < 1:
                raise ConfigError(f"DUNet: {name} is {value}; it must be at least 1")
        if order < 0:
            raise ConfigError(f"DUNet: order is {order}; it must be at least 0")
        if stride not in (1, 2, 4):
            raise ConfigError(f"DUNet: stride is {stride}; choose 1, 2 or 4")
        self.stride = stride
        self.input_multiple = stride * 2**LEVELS
        self.order = order
        self.stem = nn.Sequential(
            conv_norm(3, width, 7, stride=1 if stride == 1 else 2),
            make_pool(pool, width) if stride == 4 else nn.Identity(),
        )
        reused = [min(index, order) for index in range(stacks)]
        self.joints = nn.ModuleList(norm_conv(width * (1 + j), width) for j in reused[1:])
        self.unets = nn.ModuleList(UNet(width, growth, j, pool) for j in reused)
        self.heads = nn.ModuleList(norm_conv(width, num_landmarks, bias=True) for _ in range(stacks))
        self.estimator: CholeskyEstimator | None = None
        self.gives = frozenset({"heatmaps"})
        if cholesky:
            if input_size < self.input_multiple or input_size % self.input_multiple:
                raise ConfigError(
                    f"DUNet: input_size is {input_size}; at stride {stride} it must be a multiple of {self.input_multiple}"
                )
            side = input_size // self.input_multiple
            self.estimator = CholeskyEstimator(width * side**2, num_landmarks)
            self.gives = frozenset({"heatmaps", "cholesky"})
        self.input_size = input_size
        add_coordinates(self, coord_conv)

    def forward(self, image_B3HW: Tensor) -> Output:
        """One stage per U-net.

        Args:
            image_B3HW: RGB in [0, 1]; with a Cholesky network of side ``input_size``, else sides multiples of 16 ``stride``.

        Raises:
            ValueError: an image of another shape.
        """
        check_images(image_B3HW, self.input_multiple, "DUNet")
        if self.estimator is not None and tuple(image_B3HW.shape[2:]) != (self.input_size, self.input_size):
            raise ValueError(
                f"DUNet was built for images of side {self.input_size}, not {tuple(image_B3HW.shape[2:])}: "
                "its Cholesky network takes the whole bottleneck"
            )
        x = self.stem(image_B3HW * 2.0 - 1.0)
        inputs: list[Tensor] = []
        findings: list[list[Tensor]] = []
        stages: list[Stage] = []
        for index, (unet, head) in enumerate(zip(self.unets, self.heads, strict=True)):
            window = slice(max(index - self.order, 0), index)
            if index:
                x = self.joints[index - 1](torch.cat((x, *inputs[window]), dim=1))
            inputs.append(x)
            x, bottleneck, found = unet(x, findings[window])
            findings.append(found)
            cholesky = None if self.estimator is None else self.estimator(bottleneck) * self.stride
            stages.append(Stage(heatmaps=head(x), cholesky=cholesky))
        return Output(tuple(stages), self.stride)


MODEL = DUNet
