"""The base of unlabelled objectives: the place where images without landmarks teach the generator.

Which images the generator sees of them:

    plain_B3HW      as prepared
      └─ images_B3HW    after the run's ``augmentation``, if it has one: every objective may read the generator's output on these
    images(…)       an objective's own, beside those: another view, made of either

All of a step go through the generator in one forward, and what no objective reads is left out of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from pipeline.augment.draws import step_generator
from pipeline.augment.geometry import move, swap_sides
from pipeline.methods.base import Method
from pipeline.methods.unlabelled.weights import Weight
from pipeline.models.output import Output

_STREAM = 2  # of random numbers: the run's augmentation of labelled and unlabelled images has 0 and 1


@dataclass(frozen=True)
class Draws:
    """Where an objective's random numbers come from: the same for an image on any number of ranks.

    Attributes:
        seed: Of the run.
        step: Optimizer step.
        rank: r; image b is sample r + b W of the global batch.
        world_size: W.
    """

    seed: int = 0
    step: int = 0
    rank: int = 0
    world_size: int = 1

    def generator(self) -> torch.Generator:
        """On the CPU, in the same state on every rank."""
        return step_generator(self.seed, self.step, _STREAM)


@dataclass(frozen=True)
class UnlabelledBatch:
    """This rank's unlabelled images of one step.

    Attributes:
        plain_B3HW: As prepared, [0, 1], network input size.
        five_B52: The detector's five points of each face (pupils, nose tip, mouth corners), px of ``plain_B3HW``;
            NaN where there are none.
        images_B3HW: What the run's augmentation made of ``plain_B3HW``; the same without one.
        affine_B23: From a point of ``plain_B3HW`` to its place in ``images_B3HW``, px, mirroring included.
        flip_B: bool, mirrored by it.
        valid_B: bool, images that could be read.
        draws: Random numbers.
    """

    plain_B3HW: Tensor
    five_B52: Tensor
    images_B3HW: Tensor
    affine_B23: Tensor
    flip_B: Tensor
    valid_B: Tensor
    draws: Draws = field(default_factory=Draws)

    @classmethod
    def unchanged(cls, images_B3HW: Tensor, five_B52: Tensor | None = None) -> UnlabelledBatch:
        """Readable images without augmentation."""
        batch, device = len(images_B3HW), images_B3HW.device
        return cls(
            plain_B3HW=images_B3HW,
            five_B52=torch.full((batch, 5, 2), torch.nan, device=device) if five_B52 is None else five_B52,
            images_B3HW=images_B3HW,
            affine_B23=torch.eye(2, 3).repeat(batch, 1, 1),
            flip_B=torch.zeros(batch, dtype=torch.bool),
            valid_B=torch.ones(batch, dtype=torch.bool, device=device),
        )


def follow(points_BK2: Tensor, affine_B23: Tensor, flip_B: Tensor, permutation_K: Tensor) -> Tensor:
    """Points of an image where its changed version has them, under their names there.

    Args:
        points_BK2: (x, y) px of the image; NaN stays NaN.
        affine_B23: From image to changed image.
        flip_B: bool, mirrored images.
        permutation_K: The point that takes the place of each when an image is mirrored.
    """
    return swap_sides(move(points_BK2, affine_B23), flip_B, permutation_K)


@dataclass(frozen=True)
class StepView:
    """What the generator made of one step's images. All outputs are with gradient.

    Attributes:
        labelled_B3HW: Labelled images, [0, 1].
        target_BK2: Their landmarks (x, y), px of the network input; NaN where unknown.
        mask_BK: bool, landmarks to learn from.
        labelled_output: Of the generator on them.
        unlabelled: The unlabelled images.
        batch_output: On ``unlabelled.images_B3HW``; None where no objective reads it.
        own_output: On the images that :meth:`UnlabelledObjective.images` asked for; None where it asked for none.
        method: Reads outputs, and knows what a true heatmap looks like.
        context: What :meth:`UnlabelledObjective.images` returned beside its images.
        teacher: Images to the output of the averaged generator, without gradient, where an objective asked for it.
        shared: What one objective has computed and the others of the step may use: all views of a step have the same.
    """

    labelled_B3HW: Tensor
    target_BK2: Tensor
    mask_BK: Tensor
    labelled_output: Output
    unlabelled: UnlabelledBatch
    batch_output: Output | None
    own_output: Output | None
    method: Method
    context: Any = None
    teacher: Callable[[Tensor], Output] | None = None
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Output:
        """On the unlabelled images, for objectives that read it (:attr:`UnlabelledObjective.reads_batch`)."""
        if self.batch_output is None:
            raise TypeError("the generator was not run on the unlabelled images: no objective reads_batch")
        return self.batch_output

    @cached_property
    def heatmaps(self) -> Tensor:
        """Heatmaps (B, K, h, w) of ``output``; computed once."""
        return self.method.heatmaps(self.output)

    @cached_property
    def labelled_heatmaps(self) -> Tensor:
        """Heatmaps (B, K, h, w) that the generator gives for the labelled images; computed once."""
        return self.method.heatmaps(self.labelled_output)


# Calls a discriminator: the engine while it trains, its bare module while the generator trains against it.
Discriminator = Callable[[Tensor], Tensor]


class UnlabelledObjective(ABC):
    """An objective on unlabelled images, with or without a network of its own.

    The step runs the generator, then calls ``discriminator_loss`` (heatmaps detached by the objective), then ``generator_loss``.
    """

    discriminator: nn.Module | None = None
    # Unless the config says otherwise.
    weight: ClassVar[Weight] = Weight(share=0.1)
    # Whether it needs the average of the generator's weights, training.ema_decay > 0.
    needs_teacher: bool = False
    # Whether it reads the generator's output on the batch's unlabelled images.
    reads_batch: bool = True
    # Images of its own for each unlabelled image, for the estimate of memory.
    own_views: int = 0

    def images(self, batch: UnlabelledBatch) -> tuple[Tensor | None, Any]:
        """Images of its own that the generator shall be run on beside the batch's.

        Returns:
            (N, 3, H, W) images, or None; and a context that comes back in the view.
        """
        return None, None

    @abstractmethod
    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The term added, by its weight, to the generator's loss; and detached metrics to log."""

    def discriminator_loss(
        self, discriminator: Discriminator, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's own loss; and detached metrics to log. Only called when there is a discriminator."""
        raise TypeError(f"{type(self).__name__} has a discriminator but no discriminator_loss")

    def learn(self, five_N52: Tensor, points_NK2: Tensor) -> None:
        """Look at the run's labelled faces, once, before the first step; most have nothing to learn there.

        Args:
            five_N52: The detector's five points, px of the stored crop; NaN where there are none.
            points_NK2: Landmarks, likewise.
        """
        return

    def check(self, batch: UnlabelledBatch) -> None:
        """Refuse faces that the objective cannot use, seeing the first of them.

        Raises:
            ConfigError: What is missing, and the remedy.
        """
        return

    def validate(self, discriminator: nn.Module | None, view: StepView) -> dict[str, float]:
        """Metrics at each validation, on held-out faces, a few unlabelled ones, and the generator that is measured.

        Args:
            discriminator: The objective's own network, if it has one.
            view: Held-out faces as the labelled ones; without gradient, no ``own_output`` and no ``teacher``.
        """
        return {}

    def complaint(self, metrics: Mapping[str, float]) -> str | None:
        """What is wrong with a window of logged metrics; a user is told of it when it lasts."""
        return None


def detached(**values: Tensor) -> dict[str, Tensor]:
    """Metrics to log, free of the graph."""
    return {name: torch.as_tensor(value).detach() for name, value in values.items()}


def views(objectives: Iterable[UnlabelledObjective]) -> int:
    """Images the generator sees per unlabelled image."""
    listed = list(objectives)
    return any(objective.reads_batch for objective in listed) + sum(
        objective.own_views for objective in listed
    )
