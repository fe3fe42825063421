"""Mean teacher: the averaged generator labels plain images; the generator learns these labels on strongly changed ones.

Sources: Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017 (the average of the weights as the teacher);
the change of the student's image, and labels that follow it, as in Sohn et al., "FixMatch", NeurIPS 2020, for landmarks.

Who sees what: the teacher sees the images as they were prepared, and their mirror images; its label is the mean of the two. The
student sees a change of the same prepared images, by ``augmentation``: the run's own ``augmentation`` is not applied before it,
so no image is changed twice. ``augmentation: batch`` makes the student's images the ones that the run's ``augmentation`` made,
which the run's other objectives read, too: one forward for all of them.

Each pseudo-label weighs by how sure the teacher is: w = exp(−u / τ), u = |Σ|^{1/4} in shares of the image's side, from the
scale (LaplaceKL), the heatmap's second moments or the network's own covariance, whichever the method reads. Labels whose weight
is below ``least`` are left out. A regressor states no uncertainty: all its labels weigh 1.

The loss is the method's own on the pseudo-labels, times the mean weight, so that under a fixed λ an unsure teacher says little
rather than the same in other words. Under a share of the supervised gradient the labels of a step count against each other alone,
and it is the ramp that spares the generator the teacher's first guesses.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from pipeline.augment.batch import FaceBatch
from pipeline.augment.compose import Augmentation
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
from pipeline.methods.unlabelled.teacher import ask_teacher
from pipeline.methods.unlabelled.weights import Weight
from pipeline.registry import Part, build

STRONG: dict[str, Any] = {
    "name": "custom",
    "rotation": 30.0,
    "scale": 0.2,
    "translation": 0.08,
    "flip": 0.5,
    "brightness": 0.4,
    "contrast": 0.3,
    "saturation": 0.3,
    "channels": 0.1,
    "grey": 0.1,
    "blur": 0.2,
    "blur_sigma": (0.005, 0.02),
    "occlusion": 0.4,
    "occlusion_size": (0.1, 0.4),
}


class MeanTeacher(UnlabelledObjective):
    """Confidence-weighted pseudo-labels of the averaged generator (``training.ema_decay``).

    Args:
        num_landmarks: K.
        image_size: Side of the network's input, px.
        markup: Of the landmarks.
        augmented: Whether the run has an ``augmentation``.
        temperature: τ, as a share of the side: the uncertainty at which a label weighs 1/e.
        least: Weight below which a label is left out.
        augmentation: Of the student's images, name and parameters; ``batch``: the run's own; None is ``STRONG``.

    Raises:
        ConfigError: A value out of range; ``batch`` in a run without augmentation.
    """

    needs_teacher = True
    weight = Weight(share=0.3, ramp_steps=400)

    def __init__(
        self,
        num_landmarks: int,
        image_size: int,
        markup: Markup,
        augmented: bool = False,
        temperature: float = 0.05,
        least: float = 0.1,
        augmentation: dict[str, Any] | Literal["batch"] | None = None,
    ) -> None:
        if not (math.isfinite(least) and 0.0 <= least <= 1.0):
            raise ConfigError(f"objective 'mean_teacher', least = {least}: it must be in 0 … 1")
        if not (math.isfinite(temperature) and temperature > 0.0):
            raise ConfigError(f"objective 'mean_teacher', temperature = {temperature}: it must be positive")
        if augmentation == "batch" and not augmented:
            raise ConfigError(
                "objective 'mean_teacher', augmentation = 'batch': the run has no augmentation, student and teacher would see "
                "the same image; name one here, or set 'augmentation' of the experiment"
            )
        self.side = image_size
        self.temperature, self.least = temperature, least
        self.permutation_K = torch.from_numpy(markup.flip_permutation)
        self.strong: Augmentation | None = None
        if augmentation != "batch":
            part = Part.model_validate(augmentation or STRONG)
            self.strong = build("augmentation", part, markup=markup)
        self.reads_batch = self.strong is None
        self.own_views = 0 if self.strong is None else 1

    def images(self, batch: UnlabelledBatch) -> tuple[Tensor | None, Any]:
        """The student's images, (B, 3, H, W), unless they are the batch's; and how they came of the plain ones."""
        if self.strong is None:
            return None, (batch.affine_B23, batch.flip_B)
        draws = batch.draws
        faces = FaceBatch(batch.plain_B3HW)
        changed = self.strong(faces, draws.generator(), draws.rank, draws.world_size)
        return changed.batch.images_B3SS, (changed.affine_B23, changed.flip_B)

    def labels(self, view: StepView) -> tuple[Tensor, Tensor]:
        """The teacher's labels on the student's images.

        Returns:
            Points (B, K, 2), px of the input, and weights (B, K) in [0, 1], 0 outside the image.
        """
        points_BK2, spread_BK = ask_teacher(view, self.permutation_K, self.side)
        weight_BK = torch.ones_like(points_BK2[..., 0])
        if spread_BK is not None:
            weight_BK = torch.exp(-spread_BK / (self.temperature * self.side))
        order_K = self.permutation_K.to(points_BK2.device)
        affine_B23, flip_B = view.context
        points_BK2 = follow(points_BK2, affine_B23, flip_B, order_K)
        weight_BK = torch.where(flip_B.to(weight_BK.device)[:, None], weight_BK[:, order_K], weight_BK)
        counts_BK = (
            inside(points_BK2, self.side) & view.unlabelled.valid_B[:, None] & (weight_BK >= self.least)
        )
        return points_BK2, torch.where(counts_BK, weight_BK, 0.0)

    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The method's loss on the pseudo-labels, by their weights."""
        points_BK2, weight_BK = self.labels(view)
        student = view.output if view.own_output is None else view.own_output
        loss, _ = view.method.supervised(student, points_BK2, weight_BK)
        # The method's mean is over weights; times their mean it is a sum over weights, per landmark.
        loss = loss * weight_BK.mean()
        return loss, detached(
            pseudo_label=loss, confidence=weight_BK.mean(), used=(weight_BK > 0).float().mean()
        )


OBJECTIVE = MeanTeacher
