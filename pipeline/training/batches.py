"""From loaded batches to what the networks see: on the device, in [0, 1], at the network's input size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.augment.batch import FaceBatch
from pipeline.augment.compose import Augmentation
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
    radius_B: Tensor | None = None


def concatenate(batches: Sequence[DeviceBatch]) -> DeviceBatch:
    """Batches of one input size and markup as one, in order."""
    if len(batches) == 1:
        return batches[0]

    def join(name: str) -> Tensor | None:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else torch.cat(parts)

    joined = {field.name: join(field.name) for field in fields(DeviceBatch) if field.name != "keys"}
    return DeviceBatch(keys=[key for batch in batches for key in batch.keys], **joined)  # type: ignore[arg-type]  # None in all or none


def to_device(
    batch: Batch, device: torch.device, input_size: int, mask_occluded: bool = False
) -> DeviceBatch:
    """Move, normalise and, where the stored size differs, resample (anti-aliased bilinear) a batch.

    Args:
        batch: As loaded.
        device: Target.
        input_size: Network input side, px.
        mask_occluded: Leave landmarks marked invisible out of the mask even where their position is known.
    """
    images = batch.images_B3SS.to(device, non_blocking=True).float().div_(255)
    points = batch.points_BK2.to(device, non_blocking=True)
    scale = batch.scale_B.to(device, non_blocking=True)
    stored = images.shape[-1]
    if stored != input_size:
        images = F.interpolate(
            images, (input_size, input_size), mode="bilinear", antialias=True, align_corners=False
        )
        points = (points + 0.5) * (input_size / stored) - 0.5
        scale = scale * (input_size / stored)
    valid = batch.valid_B.to(device, non_blocking=True)
    mask = points.isfinite().all(dim=-1) & valid[:, None]
    visible = batch.visible_BK.to(device, non_blocking=True) & valid[:, None]
    if mask_occluded:
        mask &= visible
    labels = None if batch.labels_BC is None else batch.labels_BC.to(device, non_blocking=True)
    return DeviceBatch(images.contiguous(), points, mask, visible, valid, scale, batch.keys, labels)


def augmented(
    batch: DeviceBatch,
    augmentation: Augmentation,
    generator: torch.Generator,
    rank: int = 0,
    world_size: int = 1,
    mask_occluded: bool = False,
) -> DeviceBatch:
    """The batch after augmentation; what the images lose, their landmarks lose.

    Args:
        batch: A rank's share, labelled or not.
        augmentation: What happens to it.
        generator: Of the step, in the same state on every rank.
        rank: r.
        world_size: W.
        mask_occluded: Leave landmarks that augmentation covers out of the mask, as those that were covered before.
    """
    faces = FaceBatch(batch.images_B3HW, batch.points_BK2, batch.mask_BK, batch.visible_BK)
    changed, affine_B23, _ = augmentation(faces, generator, rank, world_size)
    assert changed.points_BK2 is not None
    assert changed.mask_BK is not None
    assert changed.visible_BK is not None
    # The factor by which an image grew is that of its area, rooted.
    linear = affine_B23[:, :, :2].to(batch.scale_B.device)
    grown_B = (linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]).abs().sqrt()
    mask_BK = changed.mask_BK & changed.visible_BK if mask_occluded else changed.mask_BK
    return replace(
        batch,
        images_B3HW=changed.images_B3SS,
        points_BK2=changed.points_BK2,
        mask_BK=mask_BK,
        visible_BK=changed.visible_BK,
        scale_B=batch.scale_B * grown_B,
    )
