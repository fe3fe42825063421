"""Loaded batches as networks see them: on the device, in [0, 1], at the network's input size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.shards.ahead import receive
from pipeline.shards.loader import Batch


@dataclass(frozen=True)
class DeviceBatch:
    """A batch on its device.

    Attributes:
        images_B3HW: float32 in [0, 1], network input size.
        points_BK2: float32 landmarks (x, y), px of the network input; NaN where unknown.
        mask_BK: bool, landmarks that count.
        visible_BK: bool, landmarks that can be seen, for augmentation that hides some; they count or not by ``mask_BK``.
        valid_B: bool, images that could be read.
        scale_B: float32, network px per original px.
        keys: Sample keys.
        labels_BC: bool, whether the face has each of ``data.focal_attributes``; None without any.
        five_B52: float32, the detector's five points, px of the network input, NaN where there are none; None after augmentation,
            which moves landmarks alone: ``change.before`` has them.
        change: What augmentation did; None without.
        radius_B: float32, px of the network input, within which each face's landmarks are held to be right
            (:mod:`pipeline.training.shrink`); None where all are exact.
    """

    images_B3HW: Tensor
    points_BK2: Tensor
    mask_BK: Tensor
    visible_BK: Tensor
    valid_B: Tensor
    scale_B: Tensor
    keys: list[str]
    labels_BC: Tensor | None = None
    five_B52: Tensor | None = None
    change: Change | None = None
    radius_B: Tensor | None = None


@dataclass(frozen=True)
class Change:
    """What augmentation made a batch of.

    Attributes:
        before: The batch.
        affine_B23: float32 on the CPU, from its points to the changed images', px, mirroring included.
        flip_B: bool on the CPU, mirrored images.
    """

    before: DeviceBatch
    affine_B23: Tensor
    flip_B: Tensor


def network_input(images_B3SS: Tensor, input_size: int) -> Tensor:
    """Stored crops as the network sees them: what training, prediction and an exported model all do to an image.

    Args:
        images_B3SS: uint8, or any type of values 0 … 255.
        input_size: Network input side, px; another stored size is resampled (anti-aliased bilinear).

    Returns:
        (B, 3, input_size, input_size) float32 in [0, 1].
    """
    images = images_B3SS.float().div(255)
    if images.shape[-1] == input_size:
        return images
    return F.interpolate(
        images, (input_size, input_size), mode="bilinear", antialias=True, align_corners=False
    )


def to_device(
    batch: Batch, device: torch.device, input_size: int, mask_occluded: bool = False
) -> DeviceBatch:
    """Move a batch and make it the network's input (:func:`network_input`), its points with it.

    Args:
        batch: As loaded.
        device: Target.
        input_size: Network input side, px.
        mask_occluded: Leave landmarks marked invisible out of the mask even where their position is known.
    """
    receive(batch)
    images = network_input(batch.images_B3SS.to(device, non_blocking=True), input_size)
    points = batch.points_BK2.to(device, non_blocking=True)
    five = batch.five_B52.to(device, non_blocking=True)
    scale = batch.scale_B.to(device, non_blocking=True)
    stored = batch.images_B3SS.shape[-1]
    if stored != input_size:
        points, five = ((place + 0.5) * (input_size / stored) - 0.5 for place in (points, five))
        scale = scale * (input_size / stored)
    valid = batch.valid_B.to(device, non_blocking=True)
    mask = points.isfinite().all(dim=-1) & valid[:, None]
    visible = batch.visible_BK.to(device, non_blocking=True) & valid[:, None]
    if mask_occluded:
        mask &= visible
    labels = None if batch.labels_BC is None else batch.labels_BC.to(device, non_blocking=True)
    return DeviceBatch(images.contiguous(), points, mask, visible, valid, scale, batch.keys, labels, five)
