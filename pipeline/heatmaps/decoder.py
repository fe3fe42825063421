"""What a decoder is: the way from heatmaps to points.

A decoder reads either the network's ``scores`` or the ``heatmaps`` that a loss makes of them
(:meth:`pipeline.losses.base.HeatmapLoss.heatmaps`), so any heatmap loss goes with any decoder. Each is a file of
:mod:`pipeline.heatmaps.decoders`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.heatmaps.decode import mean

Reads = Literal["scores", "heatmaps"]


class Decoder(ABC):
    """A way from heatmaps to points."""

    reads: ClassVar[Reads] = "heatmaps"
    """The tensor it is given: the network's scores, or the loss's heatmaps."""

    @property
    def name(self) -> str:
        """Of its file, by which a config names it."""
        return type(self).__module__.rpartition(".")[-1]

    @abstractmethod
    def points(self, values_BKHW: Tensor) -> Tensor:
        """Points_BK2, px, of what it reads."""

    def __call__(self, scores_BKHW: Tensor, heatmaps_BKHW: Tensor) -> Tensor:
        """Points_BK2 in px, from whichever of the two it reads."""
        return self.points(scores_BKHW if self.reads == "scores" else heatmaps_BKHW)


class MeanDecoder(Decoder):
    """A decoder that takes the mean of a distribution: a loss on points can train through it."""

    @abstractmethod
    def weights(self, values_BKHW: Tensor) -> Tensor:
        """The distribution p_BKHW, of what it reads."""

    def points(self, values_BKHW: Tensor) -> Tensor:
        """Its mean."""
        return mean(self.weights(values_BKHW))


def require(decoder: str, parameter: str, value: float, zero: bool = False) -> float:
    """A parameter that is a positive number, or 0 where that may be.

    Raises:
        ConfigError: It is not.
    """
    if not (math.isfinite(value) and (value > 0.0 or (zero and value == 0.0))):
        least = "0 or more" if zero else "a positive number"
        raise ConfigError(f"decoder '{decoder}', parameter '{parameter}': {value}; it must be {least}")
    return value
