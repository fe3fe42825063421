"""Cascaded Pyramid Network: a pyramid that finds the easy landmarks, a refinement that uses all its levels.

Source: Chen et al., "Cascaded Pyramid Network for Multi-Person Pose Estimation", CVPR 2018, section 3, figure 1; 27.0 M
parameters with ResNet-50 and 17 points (Sun et al., CVPR 2019, table 1). Used by Yan et al., Pattern Recognition 2021.

Shapes: image (B, 3, H, W) → five stages of heatmaps (B, K, H/4, W/4): the pyramid's levels from coarse to fine, each
supervised at full size, then the refinement, which is the prediction. w = ``width``.

===========  ==============================================================================
lateral      1×1 of each ResNet stage → w, batch norm, ReLU; plus the coarser level, doubled, 1×1, batch norm
predict      1×1 w→w, batch norm, ReLU; 3×3 w→K; bilinear to full size
refine       3, 2, 1, 0 bottlenecks on the levels from coarse to fine; bilinear to full size; joined, a
             bottleneck 4w→w; 3×3 w→K
===========  ==============================================================================

Deviation: heatmaps are the 3×3's output with a bias, without the batch norm of the public code, which would hold every
heatmap to the same spread over the batch. The paper's online hard keypoint mining is a matter of the loss.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.models.backbone import STRIDE, Backbone, ResNetName
from pipeline.models.coordinates import Where, add_coordinates
from pipeline.models.output import Output, Stage, check_images
from pipeline.models.residual import conv_norm


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 with w/2 channels in the middle, added to the input and rectified (He et al., CVPR 2016).

    Args:
        in_channels: of the input; where it is not ``width``, a 1×1 takes the input there.
        width: of the output.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        middle = max(width // 2, 1)
        self.body = nn.Sequential(
            conv_norm(in_channels, middle, 1), conv_norm(middle, middle, 3), _linear(middle, width)
        )
        self.skip: nn.Module = nn.Identity() if in_channels == width else _linear(in_channels, width)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return features of ``width`` channels and the input's size."""
        return F.relu(self.skip(x_BCHW) + self.body(x_BCHW))


class CPN(nn.Module):
    """GlobalNet and RefineNet on a ResNet.

    Args:
        num_landmarks: K.
        backbone: timm's name of a ResNet.
        weights: local safetensors file of the backbone; None draws them at random.
        width: channels of the pyramid; 256 is the paper's.
        coord_conv: which convolutions see coordinates.

    Raises:
        ConfigError: a backbone without stages, a file that does not fit, a size out of range.
    """

    gives: frozenset[str] = frozenset({"heatmaps"})
    stride: int = 4
    input_multiple: int = STRIDE

    def __init__(
        self,
        num_landmarks: int = 68,
        backbone: ResNetName = "resnet50",
        weights: str | None = None,
        width: int = 256,
        coord_conv: Where = "none",
    ) -> None:
        super().__init__()
        if num_landmarks < 1 or width < 1:
            raise ConfigError(f"CPN: num_landmarks ({num_landmarks}) and width ({width}) must be at least 1")
        if "resnet" not in backbone:
            raise ConfigError(f"CPN: backbone is '{backbone}'; it needs a ResNet, which has four stages")
        self.backbone = Backbone(backbone, weights)
        coarse_first = self.backbone.stage_channels[::-1]
        self.laterals = nn.ModuleList(conv_norm(channels, width, 1) for channels in coarse_first)
        self.rises = nn.ModuleList(_linear(width, width) for _ in coarse_first[1:])
        self.predictions = nn.ModuleList(_prediction(width, num_landmarks) for _ in coarse_first)
        self.refinements = nn.ModuleList(
            nn.Sequential(*(Bottleneck(width, width) for _ in range(count))) for count in (3, 2, 1, 0)
        )
        self.join = Bottleneck(4 * width, width)
        self.last = nn.Conv2d(width, num_landmarks, 3, padding=1)
        add_coordinates(self, coord_conv)

    def forward(self, image_B3HW: Tensor) -> Output:
        """Five stages, the last refined from the others' features.

        Args:
            image_B3HW: RGB in [0, 1], sides multiples of 32.

        Raises:
            ValueError: an image of another shape.
        """
        check_images(image_B3HW, self.input_multiple, "CPN")
        coarse_first = self.backbone.stages(image_B3HW)[::-1]
        size = tuple(coarse_first[-1].shape[2:])
        levels: list[Tensor] = []
        for index, (lateral, features) in enumerate(zip(self.laterals, coarse_first, strict=True)):
            level = lateral(features)
            if index:
                level = level + self.rises[index - 1](_resize(levels[-1], tuple(level.shape[2:])))
            levels.append(level)
        pyramid = [_resize(p(level), size) for p, level in zip(self.predictions, levels, strict=True)]
        refined = [_resize(r(level), size) for r, level in zip(self.refinements, levels, strict=True)]
        heatmaps = self.last(self.join(torch.cat(refined, dim=1)))
        return Output(tuple(Stage(heatmaps=h) for h in (*pyramid, heatmaps)), self.stride)


def _linear(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels))


def _prediction(width: int, num_landmarks: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(width, width, 1), nn.Conv2d(width, num_landmarks, 3, padding=1))


def _resize(x_BCHW: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(x_BCHW.shape[2:]) == size:
        return x_BCHW
    return F.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=False)


MODEL = CPN
