"""What an unlabelled objective is: the place where pictures without landmarks teach the generator."""

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
    """What the generator made of one step's pictures.

    Attributes:
        labelled_B3HW: Labelled pictures, [0, 1].
        target_BK2: Their landmarks (x, y), px of the network input; NaN where unknown.
        mask_BK: bool, landmarks to learn from.
        unlabelled_B3HW: Unlabelled pictures, [0, 1].
        output: Of the generator, with gradient, on the pictures that :meth:`UnlabelledObjective.pictures` made of them.
        valid_B: bool, unlabelled pictures that could be read.
        method: Reads outputs, and knows what a true heatmap looks like.
        context: What :meth:`UnlabelledObjective.pictures` returned beside its pictures.
        teacher: Pictures to the output of the averaged generator, without gradient, where the objective asked for it.
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


# Calls a critic: the engine while it trains, its bare module while the generator trains against it.
Critic = Callable[[Tensor], Tensor]


class UnlabelledObjective(ABC):
    """An objective on unlabelled pictures, with or without a network of its own.

    The step runs the generator on ``pictures`` (joined with the labelled ones), then calls ``critic_loss`` (critic trainable,
    heatmaps detached by the objective), then, with the critic frozen, ``generator_loss``.
    """

    critic: nn.Module | None = None
    # Whether it needs the average of the generator's weights, training.ema_decay > 0.
    needs_teacher: bool = False
    # Pictures the generator sees per unlabelled picture, for the estimate of memory.
    views: int = 1

    def pictures(self, unlabelled_B3HW: Tensor) -> tuple[Tensor, Any]:
        """What the generator is run on; and what the objective wants to remember of it.

        Args:
            unlabelled_B3HW: Pictures, [0, 1].

        Returns:
            (N, 3, H, W) pictures, N a multiple of B; and a context that comes back in the view.
        """
        return unlabelled_B3HW, None

    @abstractmethod
    def generator_loss(self, critic: Critic | None, view: StepView) -> tuple[Tensor, dict[str, Tensor]]:
        """The term added, weighted by λ, to the generator's loss; and detached figures to log."""

    def critic_loss(self, critic: Critic, view: StepView) -> tuple[Tensor, dict[str, Tensor]]:
        """The critic's own loss; and detached figures to log. Only called when there is a critic."""
        raise TypeError(f"{type(self).__name__} has a critic but no critic_loss")


def detached(**values: Tensor) -> dict[str, Tensor]:
    """Figures to log, free of the graph."""
    return {name: torch.as_tensor(value).detach() for name, value in values.items()}
