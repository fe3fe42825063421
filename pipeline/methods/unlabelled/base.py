"""The base of unlabelled objectives: the place where images without landmarks teach the generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.methods.base import Method
from pipeline.models.output import Output


@dataclass(frozen=True)
class StepView:
    """What the generator made of one step's images.

    Attributes:
        labelled_B3HW: Labelled images, [0, 1].
        target_BK2: Their landmarks (x, y), px of the network input; NaN where unknown.
        mask_BK: bool, landmarks to learn from.
        unlabelled_B3HW: Unlabelled images, [0, 1].
        output: Of the generator, with gradient, on the images that :meth:`UnlabelledObjective.images` made of them.
        valid_B: bool, unlabelled images that could be read.
        method: Reads outputs, and knows what a true heatmap looks like.
        context: What :meth:`UnlabelledObjective.images` returned beside its images.
        teacher: Images to the output of the averaged generator, without gradient, where the objective asked for it.
    """

    labelled_B3HW: Tensor
    target_BK2: Tensor
    mask_BK: Tensor
    unlabelled_B3HW: Tensor
    output: Output
    valid_B: Tensor
    method: Method
    context: Any = None
    teacher: Callable[[Tensor], Output] | None = None

    @cached_property
    def heatmaps(self) -> Tensor:
        """Heatmaps (N, K, h, w) of ``output``, with gradient; computed once."""
        return self.method.heatmaps(self.output)


# Calls a discriminator: the engine while it trains, its bare module while the generator trains against it.
Discriminator = Callable[[Tensor], Tensor]


class UnlabelledObjective(ABC):
    """An objective on unlabelled images, with or without a network of its own.

    The step runs the generator on ``images`` (joined with the labelled ones), then calls ``discriminator_loss`` (discriminator
    trainable, heatmaps detached by the objective), then, with the discriminator frozen, ``generator_loss``.
    """

    discriminator: nn.Module | None = None
    # Whether it needs the average of the generator's weights, training.ema_decay > 0.
    needs_teacher: bool = False
    # Images the generator sees per unlabelled image, for the estimate of memory.
    views: int = 1

    def images(self, unlabelled_B3HW: Tensor) -> tuple[Tensor, Any]:
        """What the generator is run on; and what the objective wants to remember of it.

        Args:
            unlabelled_B3HW: Images, [0, 1].

        Returns:
            (N, 3, H, W) images, N a multiple of B; and a context that comes back in the view.
        """
        return unlabelled_B3HW, None

    @abstractmethod
    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The term added, weighted by λ, to the generator's loss; and detached figures to log."""

    def discriminator_loss(
        self, discriminator: Discriminator, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The discriminator's own loss; and detached figures to log. Only called when there is a discriminator."""
        raise TypeError(f"{type(self).__name__} has a discriminator but no discriminator_loss")


def detached(**values: Tensor) -> dict[str, Tensor]:
    """Figures to log, free of the graph."""
    return {name: torch.as_tensor(value).detach() for name, value in values.items()}
