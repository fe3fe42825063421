"""Image classifiers without their classifier, as backbones: ResNet, DenseNet, Wide ResNet, from timm.

Sources: He et al., CVPR 2016; Huang et al., CVPR 2017; Zagoruyko and Komodakis, BMVC 2016.

Shapes: image (B, 3, H, W) in [0, 1] → features (B, C, H/32, W/32); a ResNet also gives its four stages, at 1/4 … 1/32.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.models.coordinates import Where, add_coordinates
from pipeline.models.residual import ImageNetNorm
from pipeline.models.weights import load_pretrained

ResNetName = Literal["resnet18", "resnet50", "wide_resnet50_2"]
Name = Literal["resnet18", "resnet50", "wide_resnet50_2", "densenet121"]
STRIDE = 32


class Backbone(nn.Module):
    """A classifier's features.

    Args:
        name: timm's name.
        weights: local safetensors file with timm's names for it; None draws them at random.
        coord_conv: which convolutions see coordinates.

    Raises:
        ConfigError: an unknown name, or a file that does not fit.
    """

    def __init__(self, name: Name, weights: str | None = None, coord_conv: Where = "none") -> None:
        super().__init__()
        if name not in get_args(Name):
            raise ConfigError(f"backbone is '{name}': choose from {', '.join(get_args(Name))}")
        self.norm = ImageNetNorm()
        self.body = create(name, num_classes=0)
        self.channels: int = self.body.num_features
        load_pretrained(self.body, weights, unused=("fc", "classifier"))
        add_coordinates(self.body, coord_conv)

    def forward(self, image_B3HW: Tensor) -> Tensor:
        """Features at 1/32."""
        features: Tensor = self.body.forward_features(self.norm(image_B3HW))
        return features

    @property
    def stage_channels(self) -> list[int]:
        """Channels of each of :meth:`stages`; of a ResNet."""
        return [
            self.body.get_submodule(f"layer{i}")[-1].bn2.num_features * self._expansion for i in range(1, 5)
        ]

    @property
    def _expansion(self) -> int:
        return self.channels // self.body.layer4[-1].bn2.num_features

    def stages(self, image_B3HW: Tensor) -> list[Tensor]:
        """Features at 1/4, 1/8, 1/16 and 1/32; of a ResNet."""
        body = self.body
        x = body.maxpool(body.act1(body.bn1(body.conv1(self.norm(image_B3HW)))))
        features: list[Tensor] = []
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = layer(x)
            features.append(x)
        return features


def create(name: str, **settings: Any) -> Any:
    """A timm network with random weights; timm is imported only here, for it takes a second."""
    import timm

    return timm.create_model(name, pretrained=False, **settings)
