"""Batches after augmentation: what the images lose, their landmarks lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from pipeline.augment.batch import FaceBatch
from pipeline.augment.compose import Augmentation
from pipeline.shards.device import Change, DeviceBatch


def concatenate(batches: Sequence[DeviceBatch]) -> DeviceBatch:
    """Batches of one input size and markup as one, in order; before augmentation."""
    if len(batches) == 1:
        return batches[0]

    def join(name: str) -> Tensor | None:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else torch.cat(parts)

    tensors = [field.name for field in fields(DeviceBatch) if field.name not in {"keys", "change"}]
    joined = {name: join(name) for name in tensors}
    return DeviceBatch(keys=[key for batch in batches for key in batch.keys], **joined)  # type: ignore[arg-type]  # None in all or none


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
    changed, affine_B23, flip_B = augmentation(faces, generator, rank, world_size)
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
        five_B52=None,
        change=Change(batch, affine_B23, flip_B),
    )
