"""Mean teacher: the averaged generator labels plain images; the generator learns these labels on changed ones.

Sources: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017 (the average of the weights as the teacher);
the change of the student's image, and labels that follow it, as in Sohn et al., "FixMatch", NeurIPS 2020, for landmarks.

Each pseudo-label weighs by how sure the teacher is: w = exp(−u / τ), u = |Σ|^{1/4} in shares of the image's side, from the
scale (LaplaceKL), the heatmap's second moments or the network's own covariance, whichever the method reads. Labels whose weight
is below ``least`` are left out. A regressor states no uncertainty: all its labels weigh 1.

The loss is the method's own on the pseudo-labels, times the mean weight, so that an unsure teacher says little rather than the
same in other words.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.augment.geometry import inside, move, random_affines, warp
from pipeline.errors import ConfigError
from pipeline.heatmaps.uncertainty import spread
from pipeline.methods.unlabelled.base import Discriminator, StepView, UnlabelledObjective, detached


class MeanTeacher(UnlabelledObjective):
    """Confidence-weighted pseudo-labels of the averaged generator (``training.ema_decay``).

    Args:
        num_landmarks: K.
        image_size: Side of the network's input, px.
        temperature: τ, as a share of the side: the uncertainty at which a label weighs 1/e.
        least: Weight below which a label is left out.
        rotation: Of the student's image, largest turn to either side, degrees.
        scale: Likewise, largest change of size, as a share.
        shift: Likewise, largest shift, as a share of the side.
        noise: Standard deviation of the noise on the student's image, which is in [0, 1].
        hidden: Side of the square hidden from the student, as a share of the image's; 0 hides none.

    Raises:
        ConfigError: A value out of range.
    """

    needs_teacher = True

    def __init__(
        self,
        num_landmarks: int,
        image_size: int,
        temperature: float = 0.05,
        least: float = 0.1,
        rotation: float = 20.0,
        scale: float = 0.1,
        shift: float = 0.05,
        noise: float = 0.05,
        hidden: float = 0.25,
    ) -> None:
        for name, value, most in (
            ("least", least, 1.0),
            ("rotation", rotation, 180.0),
            ("scale", scale, 0.9),
            ("shift", shift, 0.5),
            ("noise", noise, 1.0),
            ("hidden", hidden, 0.9),
        ):
            if not (math.isfinite(value) and 0.0 <= value <= most):
                raise ConfigError(f"objective 'mean_teacher', {name} = {value}: it must be in 0 … {most:g}")
        if not (math.isfinite(temperature) and temperature > 0.0):
            raise ConfigError(f"objective 'mean_teacher', temperature = {temperature}: it must be positive")
        self.side = image_size
        self.temperature, self.least = temperature, least
        self.rotation, self.scale, self.shift = rotation, scale, shift
        self.noise, self.hidden = noise, hidden

    def images(self, unlabelled_B3HW: Tensor) -> tuple[Tensor, Tensor]:
        """The student's images, (B, 3, H, W); and the transforms of the teacher's to them, (B, 2, 3)."""
        batch = len(unlabelled_B3HW)
        affine_B23 = random_affines(
            batch, self.side, rotation=self.rotation, scale=self.scale, shift=self.shift
        ).to(unlabelled_B3HW)
        changed = warp(unlabelled_B3HW, affine_B23)
        if self.hidden:
            side = max(round(self.hidden * self.side), 1)
            corner_B2 = torch.rand(batch, 2, device=changed.device) * (self.side - side)
            offset_BS2 = torch.arange(self.side, device=changed.device)[None, :, None] - corner_B2[:, None]
            covered_BS2 = (offset_BS2 >= 0) & (offset_BS2 < side)
            covered_BHW = covered_BS2[:, :, None, 1] & covered_BS2[:, None, :, 0]
            changed = torch.where(covered_BHW[:, None], changed.mean((-2, -1), keepdim=True), changed)
        if self.noise:
            changed = (changed + self.noise * torch.randn_like(changed)).clamp(0.0, 1.0)
        return changed, affine_B23

    def weights(self, view: StepView) -> tuple[Tensor, Tensor]:
        """The teacher's labels on the student's images.

        Returns:
            Points (B, K, 2), px of the input, and weights (B, K) in [0, 1], 0 outside the image.
        """
        if view.teacher is None:
            raise TypeError("the mean teacher needs the averaged generator")
        prediction = view.method.decode(view.teacher(view.unlabelled_B3HW))
        points_BK2 = move(prediction.points_BK2, view.context)
        if prediction.covariance_BK22 is None:
            weight_BK = torch.ones_like(points_BK2[..., 0])
        else:
            weight_BK = torch.exp(-spread(prediction.covariance_BK22) / (self.temperature * self.side))
        counts_BK = inside(points_BK2, self.side) & view.valid_B[:, None] & (weight_BK >= self.least)
        return points_BK2, torch.where(counts_BK, weight_BK, 0.0)

    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The method's loss on the pseudo-labels, by their weights."""
        points_BK2, weight_BK = self.weights(view)
        loss, _ = view.method.supervised(view.output, points_BK2, weight_BK)
        # The method's mean is over weights; times their mean it is a sum over weights, per landmark.
        loss = loss * weight_BK.mean()
        return loss, detached(
            pseudo_label=loss, confidence=weight_BK.mean(), used=(weight_BK > 0).float().mean()
        )


OBJECTIVE = MeanTeacher
