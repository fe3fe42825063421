"""Weak labels that every shard holds: the five points by which the detector found a face teach the means of landmarks.

MTCNN (Zhang et al., IEEE SPL 2016) reports pupils, nose tip and mouth corners of each face it finds; preparation keeps them
(``SampleMeta.five``). A markup names the landmarks whose mean each of them is (``five_points``): on an unlabelled face these
means are asked to lie where the detector has them.

The detector errs, and its points are not exactly those means: a pupil is not the centre of an eye's contour. The lasting part of
the difference is learned from the labelled faces that a detector found: the median over faces of (mean of landmarks − detector's
point), in a frame that moves, turns and grows with the face, for each of the five. The rest is left to a loss that grows
linearly: smooth L1 in units of ``scale``. A point that is missing, or that augmentation takes out of the image, does not count.

It is the simplest case of partial labels: what is known of a face is a few linear functions of its landmarks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.augment.geometry import inside
from pipeline.errors import ConfigError
from pipeline.markup import Markup
from pipeline.methods.unlabelled.base import (
    Discriminator,
    StepView,
    UnlabelledBatch,
    UnlabelledObjective,
    detached,
    follow,
)
from pipeline.methods.unlabelled.weights import Weight

# Left and right pupil, nose tip, left and right mouth corner: which takes the place of which in a mirrored image.
MIRRORED = torch.tensor([1, 0, 2, 4, 3], device="cpu")


def face_frame(five_B52: Tensor) -> tuple[Tensor, Tensor]:
    """A frame that moves, turns and grows with a face, from its five points.

    Its y-axis points from the middle of the pupils to the middle of the mouth, which, unlike the line of the eyes, does not
    vanish in profile; its unit is the root mean square distance of the five points from their mean.

    Returns:
        Unit (B,), px; and the frame's axes as the columns of (B, 2, 2) rotations from frame to image. NaN for faces without.
    """
    down_B2 = five_B52[:, 3:].mean(1) - five_B52[:, :2].mean(1)
    y_B2 = down_B2 / down_B2.norm(dim=-1, keepdim=True)
    x_B2 = torch.stack([y_B2[:, 1], -y_B2[:, 0]], dim=-1)
    centred_B52 = five_B52 - five_B52.mean(1, keepdim=True)
    return centred_B52.square().sum(-1).mean(-1).sqrt(), torch.stack([x_B2, y_B2], dim=-1)


def check_five(objective: str, batch: UnlabelledBatch) -> None:
    """Refuse unlabelled faces that no detector has seen.

    Raises:
        ConfigError: None of the batch has any of the five points.
    """
    if not bool(batch.five_B52.isfinite().any()):
        raise ConfigError(
            f"objective '{objective}': the first unlabelled faces have no points of a detector: prepare them with "
            "crop.points=detector, or leave the objective out"
        )


class DetectorPoints(UnlabelledObjective):
    """Means of landmarks against the detector's five points.

    Args:
        num_landmarks: K.
        image_size: Side of the network's input, px.
        markup: With ``five_points``.
        scale: b₀, where the distance turns from square to linear and its unit, as a share of the side; 1 px of 80 by default.

    Raises:
        ConfigError: A markup without ``five_points``, or a scale that is not positive.
    """

    weight = Weight(share=0.3, ramp_steps=400)

    def __init__(self, num_landmarks: int, image_size: int, markup: Markup, scale: float = 1 / 80) -> None:
        if markup.five_points is None:
            raise ConfigError(
                f"objective 'detector_points': markup '{markup.name}' has no 'five_points': add them to its YAML"
            )
        if not (math.isfinite(scale) and scale > 0.0):
            raise ConfigError(f"objective 'detector_points', scale = {scale}: it must be positive")
        self.side, self.unit = image_size, scale * image_size
        self.means_5K = torch.zeros(5, num_landmarks, device="cpu")
        for row_K, landmarks in zip(self.means_5K, markup.five_points, strict=True):
            row_K[list(landmarks)] = 1 / len(landmarks)
        self.offset_52 = torch.zeros(5, 2, device="cpu")

    def learn(self, five_N52: Tensor, points_NK2: Tensor) -> None:
        """The lasting difference, in the face's frame; none is known, and 0 is kept, where no labelled face has the points."""
        means_N52 = torch.stack([points_NK2[:, row_K > 0].mean(1) for row_K in self.means_5K], dim=1)
        unit_N, axes_N22 = face_frame(five_N52)
        offset_N52 = (means_N52 - five_N52) @ axes_N22 / unit_N[:, None, None]
        known_N5 = offset_N52.isfinite().all(-1)
        for offset_2, offset_N2, known_N in zip(
            self.offset_52, offset_N52.unbind(1), known_N5.unbind(1), strict=True
        ):
            if known_N.any():
                offset_2.copy_(offset_N2[known_N].median(0).values)

    def check(self, batch: UnlabelledBatch) -> None:
        """Faces without any of the points have nothing to teach."""
        check_five("detector_points", batch)

    def targets(self, batch: UnlabelledBatch) -> tuple[Tensor, Tensor]:
        """Where the means should lie.

        Returns:
            (B, 5, 2) px of ``images_B3HW``, and (B, 5) bool, those that count.
        """
        unit_B, axes_B22 = face_frame(batch.five_B52)
        offset_B52 = self.offset_52.to(unit_B) @ axes_B22.mT * unit_B[:, None, None]
        place_B52 = follow(batch.five_B52 + offset_B52, batch.affine_B23, batch.flip_B, MIRRORED)
        return place_B52, inside(place_B52, self.side) & batch.valid_B[:, None]

    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the points that count."""
        target_B52, counts_B5 = self.targets(view.unlabelled)
        points_BK2 = view.method.points(view.output).float()
        ours_B52 = torch.stack([points_BK2[:, row_K > 0].mean(1) for row_K in self.means_5K], dim=1)
        difference_B52 = torch.where(counts_B5[..., None], ours_B52 - target_B52, 0.0) / self.unit
        per_point_B5 = F.smooth_l1_loss(
            difference_B52, torch.zeros_like(difference_B52), reduction="none"
        ).sum(-1)
        known = counts_B5.sum().clamp(min=1)
        apart = difference_B52.detach().norm(dim=-1).sum() / known * self.unit
        loss = per_point_B5.sum() / known
        return loss, detached(five_points=loss, five_apart_px=apart, five_known=counts_B5.float().mean())

    def complaint(self, metrics: Mapping[str, float]) -> str | None:
        """Most faces without points teach little."""
        known = metrics.get("five_known", 1.0)
        return (
            f"only {known:.0%} of the detector's points are known and in the image" if known < 0.5 else None
        )


OBJECTIVE = DetectorPoints
