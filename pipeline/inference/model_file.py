"""A trained generator on disk: weights without pickle, and everything needed to use them without the training code's config.

``model.safetensors`` holds the weights, ``model.json`` says which network, loss (for decoding), markup and crop they belong to.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import fsspec
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from pipeline.errors import ConfigError, DataError
from pipeline.losses.base import HeatmapLoss
from pipeline.registry import Part, build
from pipeline.shards.manifest import CropPolicy, join
from pipeline.storage import write_bytes, write_text

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


class ModelDescription(BaseModel):
    """``model.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal["landmark-pipeline/model"] = "landmark-pipeline/model"
    version: Literal[1] = 1
    name: str = Field(description="run that trained it")
    model: Part
    loss: Part
    markup: str
    num_landmarks: int
    input_size: int = Field(description="network input side, px")
    crop: CropPolicy = Field(description="how training faces were cropped; crop others alike")
    step: int
    averaged: bool = Field(description="exponential moving average of the weights, or the last step's")
    parameters: int
    config_hash: str
    seed: int
    validation: dict[str, float] = Field(default_factory=dict)
    extra: dict[str, Any] = Field(default_factory=dict)


class LandmarkModel(nn.Module):
    """A generator with the decoder its loss belongs to.

    Args:
        generator: Pictures to logits.
        loss: Gives normalised heatmaps from logits.
        description: What is known of it.
    """

    def __init__(self, generator: nn.Module, loss: HeatmapLoss, description: ModelDescription) -> None:
        super().__init__()
        self.generator, self.loss, self.description = generator, loss, description

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Normalised heatmaps (B, K, h, w) of pictures (B, 3, h, w) in [0, 1]."""
        heatmaps: Tensor = self.loss.heatmaps(self.generator(images_B3HW))
        return heatmaps


def save_model(folder: str, description: ModelDescription, state: dict[str, Tensor]) -> None:
    """Write both files; the description last, so that a folder with a description is whole."""
    weights = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    write_bytes(join(folder, WEIGHTS), save_tensors(weights))
    write_text(join(folder, DESCRIPTION), description.model_dump_json(indent=2) + "\n")


def load_description(folder: str) -> ModelDescription:
    """Read ``model.json``.

    Raises:
        DataError: Missing or malformed.
    """
    url = join(folder, DESCRIPTION)
    try:
        with fsspec.open(url, "rt", encoding="utf-8") as file:
            return ModelDescription.model_validate(json.load(file))
    except FileNotFoundError as error:
        raise DataError(
            f"{folder}: no {DESCRIPTION}: give a run's folder, or its models/best or models/last"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise DataError(f"{url}: not a model description of this release: {error}") from error


def load_model(folder: str, device: torch.device | str = "cpu") -> LandmarkModel:
    """Read a trained model, in evaluation mode.

    Raises:
        DataError: Missing, malformed, or weights that do not fit the network.
    """
    description = load_description(folder)
    try:
        generator = build("model", description.model, num_landmarks=description.num_landmarks)
        loss = build("loss", description.loss)
    except ConfigError as error:
        raise DataError(f"{join(folder, DESCRIPTION)}: {error}") from error
    try:
        with fsspec.open(join(folder, WEIGHTS), "rb") as file:
            generator.load_state_dict(load_tensors(file.read()))
    except (FileNotFoundError, SafetensorError, RuntimeError) as error:
        raise DataError(f"{join(folder, WEIGHTS)}: weights cannot be loaded: {error}") from error
    return LandmarkModel(generator, loss, description).to(device).eval()
