"""Models whose answers are known: a network that finds the reddest, greenest and bluest spot of an image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.methods.laplace import Laplace
from pipeline.methods.model_file import LandmarkModel, ModelDescription
from pipeline.models.output import Traits
from pipeline.registry import Part
from pipeline.shards.manifest import CropPolicy

COLOURS = {"name": "colours", "num_landmarks": 3, "curves": {"all": {"indices": [0, 1, 2]}}, "flip_pairs": []}


class Colours(nn.Module):
    """Scores of a landmark are what a colour has over the others."""

    def forward(self, images_B3HW: torch.Tensor) -> torch.Tensor:
        return 60.0 * (images_B3HW - images_B3HW.mean(1, keepdim=True))


def colour_model(
    size: int = 80,
    input_size: int = 80,
    side_factor: float = 3.0,
    name: str = "colours",
    points: str = "detector",
) -> LandmarkModel:
    description = ModelDescription(
        name=name, model=Part(name="rcn"), loss=Part(name="laplace_kl"), markup="colours", markup_definition=COLOURS,
        num_landmarks=3, input_size=input_size, step=1, averaged=False, parameters=1, config_hash="0", seed=0,
        crop=CropPolicy(points=points, side_factor=side_factor, size=size, jpeg_quality=95),
    )  # fmt: skip
    method = Laplace(LaplaceKL(), Traits(), description.layout, input_size)
    return LandmarkModel(Colours(), method, description).eval()


@pytest.fixture
def make_colour_model() -> Callable[..., LandmarkModel]:
    return colour_model


def spots(height: int, width: int, points_32: np.ndarray, sigma: float) -> np.ndarray:
    """An image with a red, a green and a blue spot."""
    y, x = np.mgrid[:height, :width]
    image = np.full((height, width, 3), 40.0)
    for channel, (px, py) in enumerate(points_32):
        image[..., channel] += 200 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
    return image.round().clip(0, 255).astype(np.uint8)


@pytest.fixture
def make_spots() -> Callable[..., np.ndarray]:
    return spots
