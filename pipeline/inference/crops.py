"""A model's answer on square crops: the one way from stored pixels to landmarks, for single images and whole corpora alike."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.inference.flip import averaged_over_flip
from pipeline.methods.model_file import LandmarkModel
from pipeline.shards.device import network_input


@torch.no_grad()
def answer(
    model: LandmarkModel, images_B3SS: Tensor, device: torch.device | str, flip: bool
) -> tuple[Tensor, Tensor | None]:
    """Landmarks and covariances of crops.

    Args:
        model: In evaluation mode, on ``device``.
        images_B3SS: uint8 crops, RGB, placed as the model's description says; of any size S.
        device: Where to compute.
        flip: Average over the mirror image.

    Returns:
        points (B, K, 2), px of the crops; covariances (B, K, 2, 2), px², or None where the model states none; float64, CPU.
    """
    side = model.description.input_size
    images_B3HW = network_input(images_B3SS.to(device), side)
    if flip:
        points, covariance = averaged_over_flip(model, images_B3HW)
    else:
        prediction = model(images_B3HW)
        points, covariance = prediction.points_BK2, prediction.covariance_BK22
    ratio = images_B3SS.shape[-1] / side
    points_BK2 = (points.double().cpu() + 0.5) * ratio - 0.5
    return points_BK2, None if covariance is None else covariance.double().cpu() * ratio**2
