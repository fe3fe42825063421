"""Equivariance: turn an image, and its landmarks must turn with it.

Source: "equivariant landmark transformation" (ELT) of Honari et al., "Improving Landmark Localization with Semi-Supervised
Learning", CVPR 2018, section 3.3: with a known geometric transform T, ‖T(s̃(x)) − s̃(T x)‖² for images without labels.

Both images go through the generator in one forward, and both sides have a gradient, as in the paper. A landmark counts where
its transformed position lies in the image.

Choices: the distance is in shares of the image's side, so that λ means the same at every input size, and is a smooth L1 of
one hundredth of the side, because a generator at its start is wrong by a third of the image, and squares of that would drown
the labels; the paper squares pixels. Points are the means of the heatmaps' mass, whatever decoder reads them.
"""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F

from pipeline.augment.geometry import inside, move, random_affines, warp
from pipeline.errors import ConfigError
from pipeline.methods.unlabelled.base import (
    Discriminator,
    StepView,
    UnlabelledBatch,
    UnlabelledObjective,
    detached,
)


class Equivariance(UnlabelledObjective):
    """Penalise landmarks that do not follow a known turn, scaling and shift.

    Args:
        num_landmarks: K.
        image_size: Side of the network's input, px.
        rotation: Largest turn to either side, degrees.
        scale: Largest change of size, as a share.
        shift: Largest shift in x and in y, as a share of the side.
        threshold: Where the distance turns from square to linear, as a share of the side.

    Raises:
        ConfigError: A negative range, none at all, or a threshold that is not positive.
    """

    own_views = 1

    def __init__(
        self,
        num_landmarks: int,
        image_size: int,
        rotation: float = 20.0,
        scale: float = 0.1,
        shift: float = 0.05,
        threshold: float = 0.01,
    ) -> None:
        for name, value, most in (
            ("rotation", rotation, 180.0),
            ("scale", scale, 0.9),
            ("shift", shift, 0.5),
        ):
            if not (math.isfinite(value) and 0.0 <= value <= most):
                raise ConfigError(f"objective 'equivariance', {name} = {value}: it must be in 0 … {most:g}")
        if not (rotation or scale or shift):
            raise ConfigError(
                "objective 'equivariance': rotation, scale and shift are all 0: nothing is transformed"
            )
        if not (math.isfinite(threshold) and threshold > 0.0):
            raise ConfigError(f"objective 'equivariance', threshold = {threshold}: it must be positive")
        self.side = image_size
        self.rotation, self.scale, self.shift, self.threshold = rotation, scale, shift, threshold

    def images(self, batch: UnlabelledBatch) -> tuple[Tensor, Tensor]:
        """The transformed images, (B, 3, H, W); and the transforms, (B, 2, 3)."""
        images_B3HW = batch.images_B3HW
        affine_B23 = random_affines(
            len(images_B3HW), self.side, rotation=self.rotation, scale=self.scale, shift=self.shift
        ).to(images_B3HW)
        return warp(images_B3HW, affine_B23), affine_B23

    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over landmarks that stay in the image, and over images that could be read."""
        assert view.own_output is not None  # asked for
        plain_BK2 = view.method.points(view.output) / self.side
        turned_BK2 = view.method.points(view.own_output) / self.side
        expected_BK2 = move(plain_BK2 * self.side, view.context)
        counts_BK = inside(expected_BK2.detach(), self.side) & view.unlabelled.valid_B[:, None]
        expected_BK2 = expected_BK2 / self.side
        per_landmark_BK = F.smooth_l1_loss(
            turned_BK2, expected_BK2, beta=self.threshold, reduction="none"
        ).sum(-1)
        share_BK = counts_BK.to(per_landmark_BK.dtype)
        loss = (per_landmark_BK * share_BK).sum() / share_BK.sum().clamp(min=1.0)
        distance = (turned_BK2 - expected_BK2).detach().norm(dim=-1) * self.side
        apart = (distance * share_BK).sum() / share_BK.sum().clamp(min=1.0)
        return loss, detached(equivariance=loss, apart_px=apart)


OBJECTIVE = Equivariance
