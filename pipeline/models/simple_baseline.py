"""SimpleBaselines: a classifier's backbone, deconvolutions, heatmaps. With attention, ADNet's ResNet-50 of table 6.

Sources: Xiao et al., "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018 (three 4×4 deconvolutions of 256
filters with batch norm and ReLU, a 1×1 head); Huang et al., "ADNet", ICCV 2021, table 6.

Shapes: image (B, 3, H, W) → heatmaps (B, K, H/s, W/s), s = 32 / 2^``deconvolutions``.
"""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.markup import Markup
from pipeline.models.attention import Attention, AttentionHead, Masking
from pipeline.models.backbone import STRIDE, Backbone, Name
from pipeline.models.coordinates import Where
from pipeline.models.output import Output, check_images


class SimpleBaseline(nn.Module):
    """Heatmaps by deconvolution of a backbone's features.

    Args:
        num_landmarks: K.
        backbone: timm's name of it.
        weights: local safetensors file of the backbone; None draws them at random.
        deconvolutions: doublings of the features' size: 3 for stride 4 as in the paper, up to 5 for stride 1.
        width: filters of each deconvolution.
        coord_conv: which convolutions see coordinates.
        attention: ``none``, ``point``, ``edge`` or ``point_edge``; see :mod:`pipeline.models.attention`.
        masking: how the attention is applied.
        markup: whose curves are the edges.

    Raises:
        ConfigError: an unknown backbone, a file that does not fit, a size out of range.
    """

    gives: frozenset[str] = frozenset({"heatmaps", "edges", "point_maps"})
    stride: int = 4
    input_multiple: int = STRIDE

    def __init__(
        self,
        num_landmarks: int = 68,
        backbone: Name = "resnet50",
        weights: str | None = None,
        deconvolutions: int = 3,
        width: int = 256,
        coord_conv: Where = "none",
        attention: Attention = "none",
        masking: Masking = "product",
        markup: Markup | None = None,
    ) -> None:
        super().__init__()
        if num_landmarks < 1 or width < 1:
            raise ConfigError(
                f"SimpleBaseline: num_landmarks ({num_landmarks}) and width ({width}) must be at least 1"
            )
        if not 1 <= deconvolutions <= 5:
            raise ConfigError(f"SimpleBaseline: deconvolutions is {deconvolutions}; it must be 1 to 5")
        self.backbone = Backbone(backbone, weights, coord_conv)
        self.stride = STRIDE >> deconvolutions
        layers: list[nn.Module] = []
        for index in range(deconvolutions):
            channels = width if index else self.backbone.channels
            layers += [
                nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.deconvolutions = nn.Sequential(*layers)
        curves = () if markup is None else markup.curves
        self.head = AttentionHead(width, num_landmarks, attention, curves, masking)
        self.gives = self.head.gives

    def forward(self, image_B3HW: Tensor) -> Output:
        """One stage.

        Args:
            image_B3HW: RGB in [0, 1], sides multiples of 32.

        Raises:
            ValueError: an image of another shape.
        """
        check_images(image_B3HW, self.input_multiple, "SimpleBaseline")
        stage, _ = self.head(self.deconvolutions(self.backbone(image_B3HW)))
        return Output((stage,), self.stride)


MODEL = SimpleBaseline
