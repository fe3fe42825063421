"""A trained generator on disk: weights without pickle, and everything needed to use them without the training code's config.

``model.safetensors`` holds the weights, ``model.json`` says which network, method, loss and decoder, markup and crop
they belong to.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from pipeline.errors import ConfigError, DataError
from pipeline.markup import Markup, load_markup, markup_from
from pipeline.methods.base import Method, Prediction
from pipeline.methods.build import make_generator, make_method
from pipeline.models.output import as_output
from pipeline.models.weights import without_pretrained
from pipeline.registry import Part
from pipeline.shards.identity import SetIdentity
from pipeline.shards.manifest import CropPolicy, join
from pipeline.storage import open_binary, open_text, write_bytes, write_text
from pipeline.strict import Strict

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


class ModelDescription(Strict):
    """``model.json``."""

    format: Literal["landmark-pipeline/model"] = "landmark-pipeline/model"
    version: Literal[1] = 1
    name: str = Field(description="run that trained it")
    model: Part
    loss: Part
    method: Part = Part(name="laplace")
    decoder: Part | None = None
    markup: str
    markup_definition: dict[str, Any] | None = Field(
        None, description="the markup itself, the fields of its YAML, where it is no packaged one"
    )
    num_landmarks: int
    input_size: int = Field(description="network input side, px")
    crop: CropPolicy = Field(description="how training faces were cropped; crop others alike")
    step: int
    averaged: bool = Field(description="exponential moving average of the weights, or the last step's")
    parameters: int
    config_hash: str
    seed: int
    validation: dict[str, float] = Field(default_factory=dict)
    residual_covariance: list[list[list[float]]] | None = Field(
        None,
        description="(K, 2, 2) px² of the input: second moments of the errors on the held-out split, where the network states "
        "no uncertainty of its own",
    )
    selected_on: SetIdentity | None = Field(
        None,
        description="the set whose error chose these weights; null for the last step's, and in files older than it",
    )
    trained_on: tuple[SetIdentity, ...] = Field((), description="labelled sets; empty in files older than it")
    extra: dict[str, Any] = Field(default_factory=dict)

    @property
    def layout(self) -> Markup:
        """The markup of its landmarks.

        Raises:
            ConfigError: Neither kept here nor packaged, or malformed.
        """
        if self.markup_definition is not None:
            return markup_from(
                self.markup_definition, f"{DESCRIPTION} of '{self.name}', field 'markup_definition'"
            )
        return load_markup(self.markup)

    @property
    def placed_around(self) -> Literal["face", "box", "image"]:
        """What the squares that it was trained on lie around: a face's five points, a box, or the whole image.

        Raises:
            ConfigError: See ``layout``.
        """
        points = self.crop.points
        if points == "landmarks":
            return "box" if self.layout.five_points is None else "face"
        return "face" if points == "detector" else points


class LandmarkModel(nn.Module):
    """A network with the way its method reads it.

    Args:
        generator: Images to outputs.
        method: Reads them.
        description: What is known of it.
    """

    residual_K22: Tensor | None

    def __init__(self, generator: nn.Module, method: Method, description: ModelDescription) -> None:
        super().__init__()
        self.generator, self.method, self.description = generator, method, description
        residual = description.residual_covariance
        self.register_buffer(
            "residual_K22", None if residual is None else torch.tensor(residual), persistent=False
        )

    def forward(self, images_B3HW: Tensor) -> Prediction:
        """Landmarks of images (B, 3, H, W) in [0, 1] at the network's input size, their covariance, and heatmaps if it has any.

        A network that states no uncertainty gets that of its residuals on the held-out split, the same for every image.
        """
        prediction = self.method.decode(as_output(self.generator(images_B3HW)))
        if prediction.covariance_BK22 is None and self.residual_K22 is not None:
            covariance = self.residual_K22.expand(images_B3HW.shape[0], -1, -1, -1)
            return replace(prediction, covariance_BK22=covariance)
        return prediction


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
        with open_text(url) as file:
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
        markup, side = description.layout, description.input_size
        with without_pretrained():  # the weights it was trained from need not be on this machine
            generator = make_generator(description.model, markup, side)
        method = make_method(
            description.method, description.loss, description.decoder, markup, side, generator
        )
    except ConfigError as error:
        raise DataError(f"{join(folder, DESCRIPTION)}: {error}") from error
    try:
        with open_binary(join(folder, WEIGHTS)) as file:
            generator.load_state_dict(load_tensors(file.read()))
    except (FileNotFoundError, SafetensorError, RuntimeError) as error:
        raise DataError(f"{join(folder, WEIGHTS)}: weights cannot be loaded: {error}") from error
    return LandmarkModel(generator, method, description).to(device).eval()
