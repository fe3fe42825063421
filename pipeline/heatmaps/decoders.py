"""Decoders by name, with what each reads and whether a loss can train through it.

A decoder reads either the network's ``scores`` or the ``heatmaps`` that a loss makes of them
(:meth:`pipeline.losses.base.HeatmapLoss.heatmaps`), so any heatmap loss goes with any decoder.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor

from pipeline.errors import ConfigError, did_you_mean
from pipeline.heatmaps import average, decode, peak

Reads = Literal["scores", "heatmaps"]


@dataclass(frozen=True)
class Decoder:
    """A way from heatmaps to points.

    Attributes:
        name: Of the decoder.
        reads: The tensor it is given: the network's scores, or the loss's heatmaps.
        points: (B, K, h, w) → points_BK2, px.
        weights: (B, K, h, w) → the distribution p_BKHW whose mean the points are; None for decoders that look for
            a peak and have no useful gradient.
    """

    name: str
    reads: Reads
    points: Callable[[Tensor], Tensor]
    weights: Callable[[Tensor], Tensor] | None = None

    @property
    def differentiable(self) -> bool:
        """Whether a coordinate loss can train through it."""
        return self.weights is not None

    def __call__(self, scores_BKHW: Tensor, heatmaps_BKHW: Tensor) -> Tensor:
        """Points_BK2 in px, from whichever of the two it reads."""
        return self.points(scores_BKHW if self.reads == "scores" else heatmaps_BKHW)


_KNOWN: dict[str, tuple[Reads, Callable[..., Tensor], Callable[..., Tensor] | None]] = {
    "argmax": ("heatmaps", peak.argmax, None),
    "quarter_shift": ("heatmaps", peak.quarter_shift, None),
    "dark": ("heatmaps", peak.dark, None),
    "softargmax": ("scores", decode.softargmax, decode.spatial_softmax),
    "temperature_softargmax": ("scores", average.temperature_softargmax, average.temperature_weights),
    "relu_mean": ("scores", average.relu_mean, average.relu_weights),
    "barycentre": ("heatmaps", average.barycentre, average.relu_weights),
}


def names(differentiable: bool = False) -> list[str]:
    """Names of all decoders, or of those that a loss can train through."""
    return sorted(name for name, (_, _, weights) in _KNOWN.items() if weights or not differentiable)


def find(name: str, **parameters: float) -> Decoder:
    """The decoder of a name.

    Args:
        name: One of :func:`names`.
        **parameters: ``beta`` of ``softargmax``, ``temperature`` of ``temperature_softargmax`` (both > 0),
            ``blur`` of ``dark`` (px, ≥ 0).

    Raises:
        ConfigError: No such decoder or parameter, or a value that cannot work.

    Example:
        >>> find("softargmax", beta=2.0).differentiable
        True
    """
    if name not in _KNOWN:
        hint = did_you_mean(name, _KNOWN)
        raise ConfigError(f"no decoder named '{name}': {hint}known ones are {', '.join(names())}")
    reads, points, weights = _KNOWN[name]
    known = list(inspect.signature(points).parameters)[1:]
    for parameter, value in parameters.items():
        if parameter not in known:
            raise ConfigError(
                f"decoder '{name}' has no parameter '{parameter}' (it has: {', '.join(known) or 'none'})"
            )
        least = "0 or more" if parameter == "blur" else "a positive number"
        if not (math.isfinite(value) and (value > 0.0 or (value == 0.0 and parameter == "blur"))):
            raise ConfigError(f"decoder '{name}', parameter '{parameter}': {value}; it must be {least}")
    return Decoder(
        name, reads, partial(points, **parameters), partial(weights, **parameters) if weights else None
    )
