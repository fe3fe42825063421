"""Small models of each kind, untrained, as a run leaves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pipeline.inference.export.module import CropsToLandmarks
from pipeline.markup import load_markup
from pipeline.methods.build import make_generator, make_method
from pipeline.methods.model_file import LandmarkModel, ModelDescription
from pipeline.registry import Part
from pipeline.shards.manifest import CropPolicy


def made(
    model: dict[str, Any],
    loss: str,
    method: str,
    decoder: str | None = None,
    *,
    side: int = 64,
    size: int = 64,
    residuals: bool = False,
) -> CropsToLandmarks:
    torch.manual_seed(0)
    markup = load_markup("ibug68")
    parts = Part.model_validate(model), Part(name=loss), Part(name=method), decoder and Part(name=decoder)
    network, how_wrong, how, reading = parts
    generator = make_generator(network, markup, side)
    description = ModelDescription(
        name="x", model=network, loss=how_wrong, method=how, decoder=reading, markup="ibug68", num_landmarks=68,
        input_size=side, step=1, averaged=False, parameters=1, config_hash="0", seed=0,
        crop=CropPolicy(points="landmarks", side_factor=3.0, size=size, jpeg_quality=95),
        residual_covariance=[[[4.0, 1.0], [1.0, 2.0]]] * 68 if residuals else None,
    )  # fmt: skip
    supervision = make_method(how, how_wrong, reading, markup, side, generator)
    return CropsToLandmarks(LandmarkModel(generator, supervision, description).eval()).eval()


@pytest.fixture
def make_module() -> Callable[..., CropsToLandmarks]:
    return made
