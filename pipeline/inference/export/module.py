"""A trained model as one function of crops, all of it in the graph: normalisation, resampling, network, decoding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipeline.methods.model_file import LandmarkModel
from pipeline.shards.device import network_input

INPUT, POINTS, COVARIANCE = "crops", "points", "covariance"
"""Names of the input and the outputs in an exported file."""


class CropsToLandmarks(nn.Module):
    """From uint8 crops to landmarks in their pixels.

    Args:
        model: In evaluation mode.

    Raises:
        ValueError: The model is in training mode.
    """

    def __init__(self, model: LandmarkModel) -> None:
        super().__init__()
        if model.training:
            raise ValueError("the model is in training mode: call eval() first")
        self.model = model
        self.size = model.description.crop.size
        self.input_size = model.description.input_size

    def forward(self, crops_BSS3: Tensor) -> tuple[Tensor, ...]:
        """Landmarks of crops that were cut out as the model's description says.

        Args:
            crops_BSS3: (B, S, S, 3) uint8 RGB, S the description's ``crop.size``.

        Returns:
            points (B, K, 2) float32, (x, y) px of the crop; and, of a model that states one, covariance (B, K, 2, 2), px².
        """
        images_B3HW = network_input(crops_BSS3.permute(0, 3, 1, 2), self.input_size)
        prediction = self.model(images_B3HW.contiguous())
        ratio = self.size / self.input_size
        points_BK2 = (prediction.points_BK2 + 0.5) * ratio - 0.5
        if prediction.covariance_BK22 is None:
            return (points_BK2,)
        return points_BK2, prediction.covariance_BK22 * ratio**2


def example(module: CropsToLandmarks) -> Tensor:
    """Crops to trace with: two, as a batch of one would be taken for a constant."""
    shape = (2, module.size, module.size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
