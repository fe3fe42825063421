"""HRNet: four resolutions side by side, joined into heatmaps at the highest.

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", TPAMI 2020 (HRNetV2 for facial
landmarks: 9.3 M parameters and 4.3 GMACs at 256×256, in units of 2²⁰ and 2³⁰); used by Yan et al., Pattern Recognition 2021.

Shapes: image (B, 3, H, W) → heatmaps (B, K, H/s, W/s). Branches of 18, 36, 72 and 144 channels at s, 2s, 4s, 8s are
brought to the first one's size, joined (270 channels), mixed by a 1×1 with batch norm and ReLU, and a 1×1 gives heatmaps.

The body is timm's, so ImageNet weights of it can be loaded; what it has for classification is left out. ``stride`` 2
takes the second convolution's stride away, for small inputs: the same weights, on features twice as large.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.markup import Markup
from pipeline.models.attention import Attention, AttentionHead, Masking
from pipeline.models.backbone import create
from pipeline.models.coordinates import Where, add_coordinates
from pipeline.models.output import Output, check_images
from pipeline.models.residual import ImageNetNorm, conv_norm
from pipeline.models.weights import load_pretrained

Variant = Literal["hrnet_w18_small", "hrnet_w18", "hrnet_w32", "hrnet_w48"]

_CLASSIFIER = ("incre_modules", "downsamp_modules", "final_layer", "classifier")


class HRNet(nn.Module):
    """High-resolution network with HRNetV2's head.

    Args:
        num_landmarks: K.
        variant: timm's name; the width of its finest branch and, for ``small``, fewer modules.
        weights: local safetensors file of the body; None draws them at random.
        stride: input pixels per heatmap cell: 4 as in the paper, or 2.
        coord_conv: which convolutions see coordinates; Yan et al. use ``all``.
        attention: ``none``, ``point``, ``edge`` or ``point_edge``; see :mod:`pipeline.models.attention`.
        masking: how the attention is applied.
        markup: whose curves are the edges.

    Raises:
        ConfigError: an unknown variant, a file that does not fit, a size out of range.
    """

    gives: frozenset[str] = frozenset({"heatmaps", "edges", "point_maps"})
    stride: int = 4
    input_multiple: int = 16

    def __init__(
        self,
        num_landmarks: int = 68,
        variant: Variant = "hrnet_w18",
        weights: str | None = None,
        stride: Literal[2, 4] = 4,
        coord_conv: Where = "none",
        attention: Attention = "none",
        masking: Masking = "product",
        markup: Markup | None = None,
    ) -> None:
        super().__init__()
        if variant not in get_args(Variant):
            raise ConfigError(f"variant is '{variant}': choose from {', '.join(get_args(Variant))}")
        if num_landmarks < 1:
            raise ConfigError(f"HRNet: num_landmarks is {num_landmarks}; it must be at least 1")
        if stride not in (2, 4):
            raise ConfigError(f"HRNet: stride is {stride}; choose 2 or 4")
        self.stride = stride
        self.input_multiple = stride * 8
        self.norm = ImageNetNorm()
        body = create(variant)
        for name in (*_CLASSIFIER, "global_pool", "head_drop"):
            delattr(body, name)
        load_pretrained(body, weights, unused=_CLASSIFIER)
        if stride == 2:
            body.conv2.stride = (1, 1)
        self.body = body
        channels = sum(body.stage4[-1].num_in_chs)
        self.join = conv_norm(channels, channels, 1)
        curves = () if markup is None else markup.curves
        self.head = AttentionHead(channels, num_landmarks, attention, curves, masking)
        self.gives = self.head.gives
        add_coordinates(self, coord_conv)

    def forward(self, image_B3HW: Tensor) -> Output:
        """One stage.

        Args:
            image_B3HW: RGB in [0, 1], sides multiples of 8 ``stride``.

        Raises:
            ValueError: an image of another shape.
        """
        check_images(image_B3HW, self.input_multiple, "HRNet")
        body = self.body
        x = body.act1(body.bn1(body.conv1(self.norm(image_B3HW))))
        finest, *coarser = body.stages(body.act2(body.bn2(body.conv2(x))))
        size = finest.shape[2:]
        resized = [F.interpolate(y, size=size, mode="bilinear", align_corners=False) for y in coarser]
        stage, _ = self.head(self.join(torch.cat((finest, *resized), dim=1)))
        return Output((stage,), self.stride)


MODEL = HRNet
