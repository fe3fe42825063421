"""Coordinate regression: a classifier's backbone whose last layer returns landmarks.

Source: Rayhan et al., BMVC 2020 (ResNet-50; DenseNet and Wide ResNet too), after Feng et al., "Wing Loss", CVPR 2018.

Shapes: image (B, 3, H, W) → points (B, K, 2), input px.

The last layer returns displacements from a mean shape, in units of the image's sides, so that weights do not depend on
the input's size. The mean is the image's middle until :meth:`CoordinateRegressor.set_mean` is told another; it is saved
with the weights. The last layer starts small, so the first prediction is the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.models.backbone import Backbone, Name
from pipeline.models.coordinates import Where
from pipeline.models.output import Output, Stage, check_images
from pipeline.precision import at_least_float32

_INITIAL_DEVIATION = 1e-3


class CoordinateRegressor(nn.Module):
    """Landmarks from globally averaged features.

    Args:
        num_landmarks: K.
        backbone: timm's name of it.
        weights: local safetensors file of the backbone; None draws them at random.
        dropout: before the last layer.
        coord_conv: which convolutions see coordinates.

    Raises:
        ConfigError: an unknown backbone, a file that does not fit, a size out of range.
    """

    mean_K2: Tensor
    gives: frozenset[str] = frozenset({"points"})
    input_multiple: int = 1

    def __init__(
        self,
        num_landmarks: int = 68,
        backbone: Name = "resnet50",
        weights: str | None = None,
        dropout: float = 0.0,
        coord_conv: Where = "none",
    ) -> None:
        super().__init__()
        if num_landmarks < 1:
            raise ConfigError(f"CoordinateRegressor: num_landmarks is {num_landmarks}; it must be at least 1")
        if not 0.0 <= dropout < 1.0:
            raise ConfigError(f"CoordinateRegressor: dropout is {dropout}; it must be in [0, 1)")
        self.backbone = Backbone(backbone, weights, coord_conv)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(self.backbone.channels, 2 * num_landmarks)
        nn.init.normal_(self.last.weight, std=_INITIAL_DEVIATION)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("mean_K2", torch.full((num_landmarks, 2), 0.5))

    def set_mean(self, mean_K2: Tensor, size: tuple[int, int]) -> None:
        """Set the shape from which displacements are predicted.

        Args:
            mean_K2: landmarks, px.
            size: (h, w) of the image they lie on.

        Raises:
            ConfigError: another number of landmarks.
        """
        if mean_K2.shape != self.mean_K2.shape:
            raise ConfigError(
                f"CoordinateRegressor: a mean of {tuple(mean_K2.shape)} for {len(self.mean_K2)} landmarks"
            )
        height, width = size
        self.mean_K2.copy_((mean_K2 + 0.5) / mean_K2.new_tensor([width, height]))

    def forward(self, image_B3HW: Tensor) -> Output:
        """One stage with points.

        Args:
            image_B3HW: RGB in [0, 1], any size a backbone of stride 32 has features for.

        Raises:
            ValueError: not a batch of RGB images.
        """
        check_images(image_B3HW, 1, "CoordinateRegressor")
        pooled_BC = self.backbone(image_B3HW).mean((-2, -1))
        raw_BK2 = self.last(self.dropout(pooled_BC)).unflatten(-1, (-1, 2))
        # Eight bits of a bfloat16 are half a pixel at 128.
        raw_BK2 = at_least_float32(raw_BK2)
        height, width = image_B3HW.shape[2:]
        points_BK2 = (self.mean_K2 + raw_BK2) * raw_BK2.new_tensor([width, height]) - 0.5
        return Output((Stage(points=points_BK2),))


MODEL = CoordinateRegressor
