"""All operations of a set in one pass: geometry, colour, blur, occlusion, in this order.

Everything random is decided on the CPU (``pipeline.augment.draws``) before the images are touched
(``pipeline.augment.images``).

Landmarks follow the geometry. A landmark that it takes out of the image is masked and counts as invisible: no heatmap can hold
it, and the pixels no longer show it. It keeps its position, so that a loss on coordinates may ask for it by ``margin``. A covered
landmark becomes invisible and stays in the mask: where it is, is known, as with the occlusions that data sets annotate; a recipe
that masks those must mask it, too. The papers say nothing of either.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.augment.batch import FaceBatch
from pipeline.augment.blur import Blur
from pipeline.augment.colour import Colour
from pipeline.augment.draws import check_number, uniforms
from pipeline.augment.geometry import Geometry, Padding, inside, move, swap_sides, unchanged
from pipeline.augment.images import ImagePlan, change_images
from pipeline.augment.occlusion import Occlusion, covered
from pipeline.markup import Markup


class Augmented(NamedTuple):
    """What became of a batch.

    Attributes:
        batch: Float images, landmarks, mask and visibility, on the device they came on.
        affine_B23: float32 on the CPU: from the images that came to the ones that go, px, mirroring included. Landmarks of
            mirrored images have changed their names besides (``flip_B``).
        flip_B: bool on the CPU, mirrored images.
    """

    batch: FaceBatch
    affine_B23: Tensor
    flip_B: Tensor


class Augmentation:
    """A set of operations with their probabilities and ranges.

    Args:
        markup: Whose landmarks change sides when an image is mirrored.
        geometry: Rotation, scale, translation, mirroring.
        colour: Brightness, contrast, saturation, channels, hue, grey.
        blur: Gaussian blur.
        occlusion: A rectangle.
        padding: What lies outside of a turned or shifted image.
        margin: How far outside of the image a landmark still counts, as a share of the side.

    Raises:
        ConfigError: A value that cannot be.
    """

    def __init__(
        self,
        markup: Markup,
        geometry: Geometry,
        colour: Colour,
        blur: Blur,
        occlusion: Occlusion,
        padding: Padding = "border",
        margin: float = 0.0,
    ) -> None:
        check_number("margin", margin, 0, 1, " of the side")
        self.geometry, self.colour, self.blur, self.occlusion = geometry, colour, blur, occlusion
        self.padding: Padding = padding
        self.margin = margin
        self.permutation_K = torch.arange(markup.num_landmarks)
        if geometry.flip:  # else a markup need not say which landmarks change sides
            self.permutation_K = torch.from_numpy(markup.flip_permutation)
        self._columns = [part.columns for part in (geometry, colour, blur, occlusion)]

    @torch.no_grad()
    def __call__(
        self, batch: FaceBatch, generator: torch.Generator, rank: int = 0, world_size: int = 1
    ) -> Augmented:
        """Change a rank's share of a global batch. What came is left as it is.

        Args:
            batch: B images, with or without landmarks.
            generator: On the CPU, in the same state on every rank, e.g. ``step_generator(seed, step)``.
            rank: r; image b is sample r + b W of the global batch.
            world_size: W.

        Raises:
            ValueError: The landmarks are not those of the markup.
        """
        points = batch.points_BK2
        if points is not None and points.shape[1] not in (0, len(self.permutation_K)):
            raise ValueError(f"{points.shape[1]} landmarks, the markup has {len(self.permutation_K)}")
        count = len(batch.images_B3SS)
        u_BN = uniforms(count, sum(self._columns), generator, rank, world_size)
        geometry, colour, blur, occlusion = u_BN.split(self._columns, dim=1)
        affine_B23, flip_B, scale_B = self.geometry.draw(geometry, batch.side)
        boxes_B4, paint_B3 = self.occlusion.draw(occlusion, batch.side)
        plan = ImagePlan(
            affine_B23,
            scale_B,
            self.colour.draw(colour),
            self.blur.draw(blur, batch.side),
            boxes_B4,
            paint_B3,
            self.padding,
        )
        # Augmentation is arithmetic on images, and autocast would take its matrix product to 8 bits.
        with torch.autocast(batch.images_B3SS.device.type, enabled=False):
            images_B3SS = change_images(batch.images_B3SS, plan)
        changed = replace(self._landmarks(batch, affine_B23, flip_B, boxes_B4), images_B3SS=images_B3SS)
        return Augmented(changed, affine_B23.float(), flip_B)

    def _landmarks(self, batch: FaceBatch, affine_B23: Tensor, flip_B: Tensor, boxes_B4: Tensor) -> FaceBatch:
        points, mask, visible = batch.points_BK2, batch.mask_BK, batch.visible_BK
        if points is None or mask is None or visible is None or points.shape[1] == 0:
            return batch
        moved_B = ~unchanged(affine_B23)
        if bool(moved_B.any()):
            # In float64, so that a turn costs a landmark one rounding.
            points = move(points.double(), affine_B23.to(points.device)).to(points.dtype)
            kept_BK = (
                inside(points, batch.side, self.margin * batch.side) | ~moved_B.to(points.device)[:, None]
            )
            mask, visible = mask & kept_BK, visible & kept_BK
        if bool(flip_B.any()):
            order_K = self.permutation_K.to(points.device)
            points, mask, visible = (
                swap_sides(part, flip_B.to(points.device), order_K) for part in (points, mask, visible)
            )
        if bool((boxes_B4[:, 0] < boxes_B4[:, 2]).any()):
            visible = visible & ~covered(points, boxes_B4)
        return replace(batch, points_BK2=points, mask_BK=mask, visible_BK=visible)
