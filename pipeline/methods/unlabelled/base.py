"""What an unlabelled objective is: the place where pictures without landmarks teach the generator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.losses.base import HeatmapLoss


@dataclass(frozen=True)
class StepView:
    """What the generator made of one step's pictures.

    Attributes:
        labelled_B3HW: Labelled pictures, [0, 1].
        target_BK2: Their landmarks (x, y), px of the network input; NaN where unknown.
        mask_BK: bool, landmarks to learn from.
        unlabelled_B3HW: Unlabelled pictures, [0, 1].
        heatmaps_BKHW: Normalised heatmaps of the unlabelled pictures, with gradient.
        valid_B: bool, unlabelled pictures that could be read.
        loss: The supervised loss: it knows the distribution a true heatmap is drawn from.
    """

    labelled_B3HW: Tensor
    target_BK2: Tensor
    mask_BK: Tensor
    unlabelled_B3HW: Tensor
    heatmaps_BKHW: Tensor
    valid_B: Tensor
    loss: HeatmapLoss


# Calls a critic: the engine while it trains, its bare module while the generator trains against it.
Critic = Callable[[Tensor], Tensor]


class UnlabelledObjective(ABC):
    """An objective on unlabelled pictures, with or without a network of its own.

    The step calls ``critic_loss`` first (critic trainable, heatmaps detached by the objective), then, with the critic
    frozen, ``generator_loss``.
    """

    critic: nn.Module | None = None

    @abstractmethod
    def generator_loss(self, critic: Critic | None, view: StepView) -> tuple[Tensor, dict[str, Tensor]]:
        """The term added, weighted by λ, to the generator's loss; and detached figures to log."""

    def critic_loss(self, critic: Critic, view: StepView) -> tuple[Tensor, dict[str, Tensor]]:
        """The critic's own loss; and detached figures to log. Only called when there is a critic."""
        raise TypeError(f"{type(self).__name__} has a critic but no critic_loss")


def detached(**values: Tensor) -> dict[str, Tensor]:
    """Figures to log, free of the graph."""
    return {name: torch.as_tensor(value).detach() for name, value in values.items()}
