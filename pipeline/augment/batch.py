"""The batches that augmentation takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FaceBatch:
    """Square images with what is known of their landmarks.

    Attributes:
        images_B3SS: RGB: floating point in [0, 1], or uint8 in 0 … 255 as decoded. Any memory layout and device.
        points_BK2: Landmarks (x, y), px, the centre of the top-left pixel at (0, 0); NaN where unknown. None, or K = 0, for
            images without labels.
        mask_BK: bool, landmarks that count. None together with ``points_BK2``.
        visible_BK: bool, landmarks that can be seen. None together with ``points_BK2``.

    Raises:
        ValueError: Shapes or types that do not belong together.
    """

    images_B3SS: Tensor
    points_BK2: Tensor | None = None
    mask_BK: Tensor | None = None
    visible_BK: Tensor | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.images_B3SS.shape)
        if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3]:
            raise ValueError(f"images are {shape}, expected (B, 3, S, S)")
        known = (self.points_BK2, self.mask_BK, self.visible_BK)
        if all(part is None for part in known):
            return
        if self.points_BK2 is None or self.mask_BK is None or self.visible_BK is None:
            raise ValueError("points, mask and visible are given together or not at all")
        if self.points_BK2.ndim != 3 or self.points_BK2.shape[::2] != (shape[0], 2):
            raise ValueError(f"points are {tuple(self.points_BK2.shape)}, expected ({shape[0]}, K, 2)")
        for name, flags in (("mask", self.mask_BK), ("visible", self.visible_BK)):
            if flags.shape != self.points_BK2.shape[:2]:
                raise ValueError(
                    f"{name} is {tuple(flags.shape)}, expected {tuple(self.points_BK2.shape[:2])}"
                )
            if flags.dtype != torch.bool:
                raise ValueError(f"{name} is {flags.dtype}, expected bool")

    @property
    def side(self) -> int:
        """S, px."""
        return int(self.images_B3SS.shape[-1])
