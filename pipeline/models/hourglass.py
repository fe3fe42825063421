"""Stacked hourglass, with the parts that make it ADNet's backbone: CoordConv, anti-aliased pooling, attention.

Sources: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation", ECCV 2016; Huang et al., "ADNet", ICCV
2021, section 3, figure 2; its blocks' sizes, which the paper does not list, after the layers its authors published.

Shapes: image (B, 3, H, W) → per stack heatmaps (B, K, H/s, W/s), with attention also edges and point maps. w = ``width``.

==========  ========================================================================
stem        7×7, 3→w/4, stride 2; residual →w/2; pool; residual w/2→w/2; residual →w
hourglass   per level residual w→w on the skip, before and after the coarser level; two at the coarsest
feature     residual w→w; 1×1 w→w, batch norm, ReLU
head        1×1 w→K (and →E, →K)
merge       1×1 of features and of each map back to w, added to the hourglass's input
==========  ========================================================================

ADNet is ``stacks=4, attention="point_edge", coord_conv="stacks", pool="blur"``: 13.3 M parameters with 68 landmarks and
9 curves, 13.37 M in its authors' code.

Deviations:

- Convolutions in front of a norm have no bias: the norm subtracts it.
- The authors' CoordConv of later stacks also takes coordinates gated by the last landmark's heatmap, which their
  base (AWing) meant for a boundary map that ADNet does not have: left out.
- ``stride`` 2 leaves out the stem's pooling and ``stride`` 1 its convolution's stride too, for small inputs.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.markup import Markup
from pipeline.models.attention import Attention, AttentionHead, Masking
from pipeline.models.blurpool import Pool, make_pool
from pipeline.models.coordinates import CoordConv2d, add_coordinates
from pipeline.models.output import Output, Stage, check_images
from pipeline.models.residual import Residual, conv_norm

Coordinates = Literal["none", "first", "stacks", "all"]


class Hourglass(nn.Module):
    """Residual blocks on a ladder of resolutions, each half the one above.

    Args:
        levels: halvings.
        width: channels.
        pool: how the size is halved.
    """

    def __init__(self, levels: int, width: int, pool: Pool) -> None:
        super().__init__()
        self.skip = Residual(width, width)
        self.pool = make_pool(pool, width)
        self.down = Residual(width, width)
        self.inner: nn.Module = Hourglass(levels - 1, width, pool) if levels > 1 else Residual(width, width)
        self.up = Residual(width, width)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features of the input's size."""
        coarse = self.up(self.inner(self.down(self.pool(x_BCHW))))
        return self.skip(x_BCHW) + F.interpolate(coarse, scale_factor=2.0, mode="nearest")


class Stem(nn.Sequential):
    """From the image to features at the heatmaps' resolution.

    Args:
        width: channels of the features.
        stride: 1, 2 or 4.
        pool: how the size is halved.
    """

    def __init__(self, width: int, stride: int, pool: Pool) -> None:
        quarter, half = max(width // 4, 1), max(width // 2, 1)
        super().__init__(
            conv_norm(3, quarter, 7, stride=1 if stride == 1 else 2),
            Residual(quarter, half),
            make_pool(pool, half) if stride == 4 else nn.Identity(),
            Residual(half, half),
            Residual(half, width),
        )


class StackedHourglass(nn.Module):
    """Hourglasses in a row, each supervised, each seeing what the one before it said.

    Args:
        num_landmarks: K.
        stacks: hourglasses; 4 is ADNet's, 8 Newell's.
        width: channels; 256 is the papers'.
        levels: halvings within an hourglass; 4 is the papers'.
        stride: input pixels per heatmap cell: 4 as in the papers, 2 or 1.
        pool: ``max``, or ``blur`` for anti-aliased pooling.
        coord_conv: coordinates for no convolution, the first, the first and one 1×1 at the mouth of each hourglass
            (ADNet), or all.
        attention: ``none``, ``point``, ``edge`` or ``point_edge`` (ADNet's AAM).
        masking: how the attention is applied; see :mod:`pipeline.models.attention`.
        markup: whose curves are the edges; needed by ``edge`` and ``point_edge``.

    Raises:
        ConfigError: a size out of range, or attention on edges without curves.

    Example:
        >>> model = StackedHourglass(num_landmarks=5, stacks=2, width=8)
        >>> [stage.heatmaps.shape for stage in model(torch.rand(2, 3, 128, 128)).stages]
        [torch.Size([2, 5, 32, 32]), torch.Size([2, 5, 32, 32])]
    """

    gives: frozenset[str] = frozenset({"heatmaps", "edges", "point_maps"})
    stride: int = 4
    input_multiple: int = 2

    def __init__(
        self,
        num_landmarks: int = 68,
        stacks: int = 4,
        width: int = 256,
        levels: int = 4,
        stride: Literal[1, 2, 4] = 4,
        pool: Pool = "max",
        coord_conv: Coordinates = "none",
        attention: Attention = "none",
        masking: Masking = "product",
        markup: Markup | None = None,
    ) -> None:
        super().__init__()
        for name, value in (
            ("num_landmarks", num_landmarks),
            ("stacks", stacks),
            ("width", width),
            ("levels", levels),
        ):
            if value < 1:
                raise ConfigError(f"StackedHourglass: {name} is {value}; it must be at least 1")
        if stride not in (1, 2, 4):
            raise ConfigError(f"StackedHourglass: stride is {stride}; choose 1, 2 or 4")
        if coord_conv not in get_args(Coordinates):
            raise ConfigError(f"coord_conv is '{coord_conv}': choose from {', '.join(get_args(Coordinates))}")
        curves = () if markup is None else markup.curves
        self.stride = stride
        self.input_multiple = stride * 2**levels
        self.stem = Stem(width, stride, pool)
        self.mouths = nn.ModuleList(
            nn.Conv2d(width, width, 1, bias=False) if coord_conv == "stacks" else nn.Identity()
            for _ in range(stacks)
        )
        self.hourglasses = nn.ModuleList(Hourglass(levels, width, pool) for _ in range(stacks))
        self.features = nn.ModuleList(
            nn.Sequential(Residual(width, width), conv_norm(width, width, 1)) for _ in range(stacks)
        )
        heads = [AttentionHead(width, num_landmarks, attention, curves, masking) for _ in range(stacks)]
        self.heads = nn.ModuleList(heads)
        self.gives = heads[0].gives
        merged = [width, *heads[0].map_channels]
        self.merges = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for channels in merged)
            for _ in range(stacks - 1)
        )
        if coord_conv == "stacks":
            add_coordinates(self.stem, "first", radius=True)
            self.mouths = nn.ModuleList(CoordConv2d(mouth, radius=True) for mouth in self._mouths())
        else:
            add_coordinates(self, coord_conv)

    def forward(self, image_B3HW: Tensor) -> Output:
        """One stage per stack.

        Args:
            image_B3HW: RGB in [0, 1]; sides multiples of ``stride`` · 2^``levels``.

        Raises:
            ValueError: an image of another shape.
        """
        check_images(image_B3HW, self.input_multiple, "StackedHourglass")
        x = self.stem(image_B3HW * 2.0 - 1.0)
        stages: list[Stage] = []
        for index, (mouth, hourglass, features, head) in enumerate(
            zip(self.mouths, self.hourglasses, self.features, self.heads, strict=True)
        ):
            seen = features(hourglass(mouth(x)))
            stage, maps = head(seen)
            stages.append(stage)
            if index < len(self.merges):
                merge = self.merges[index]
                assert isinstance(merge, nn.ModuleList)
                x = x + torch.stack([m(y) for m, y in zip(merge, [seen, *maps], strict=True)]).sum(0)
        return Output(tuple(stages), self.stride)

    def _mouths(self) -> list[nn.Conv2d]:
        return [mouth for mouth in self.mouths if isinstance(mouth, nn.Conv2d)]


MODEL = StackedHourglass
