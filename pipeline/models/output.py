"""The output of a model, and the traits by which the other parts may rely on it.

A model maps images (B, 3, H, W), RGB in [0, 1], to either

- a plain tensor of heatmap scores (B, K, h, w): one supervised stage (RCN), or
- an :class:`Output`: one :class:`Stage` for every supervised output, the last of which is the prediction.

:func:`as_output` makes the second of the first, so that everything behind a model handles one type. Class and
instance carry what the model promises, read by :func:`traits`, so that a loss or a decoder that needs what a
model does not give is refused before anything is computed:

- ``gives``: names of the fields of :class:`Stage` that are filled, e.g. ``frozenset({"heatmaps"})``;
- ``stride``: input pixels per heatmap cell; 1 where heatmaps are as large as the input;
- ``input_multiple``: both sides of the input are multiples of it.

On the class they are the most the model can give and the loosest it can ask for; on an instance they are exact.
Building on the meta device costs no memory, so a config is checked on an instance.

Shapes: B batch, K landmarks, E curves of the markup, h × w heatmap cells. Points, covariances and everything
else in pixels are in **input** pixels, (x, y), the centre of the top-left pixel at (0, 0); heatmaps alone are on
their own grid, whose cells :mod:`pipeline.heatmaps.stride` places on the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Stage:
    """One supervised output: what a loss is computed on. Absent parts are None.

    Attributes:
        heatmaps: (B, K, h, w) scores, to be read by a decoder (softmax, ReLU mean, …); not normalised.
        points: (B, K, 2) landmarks, input px, of models that regress them.
        cholesky: (B, K, 3) entries l₁₁, l₂₁, l₂₂ of L with covariance Σ = L Lᵀ, input px; l₁₁, l₂₂ > 0.
        edges: (B, E, h, w) edge maps in [0, 1], one per curve of the markup; their target is
            :func:`pipeline.heatmaps.edges.edge_maps`.
        point_maps: (B, K, h, w) point maps in [0, 1]; their target is
            :func:`pipeline.heatmaps.unit_peak.unit_gaussian_heatmaps`.
    """

    heatmaps: Tensor | None = None
    points: Tensor | None = None
    cholesky: Tensor | None = None
    edges: Tensor | None = None
    point_maps: Tensor | None = None

    @property
    def gives(self) -> frozenset[str]:
        """Names of the parts that are there."""
        return frozenset(f.name for f in fields(self) if getattr(self, f.name) is not None)

    def map(self, function: Callable[[Tensor], Tensor]) -> Stage:
        """The stage with ``function`` applied to every part that is there."""
        return Stage(**{name: function(getattr(self, name)) for name in self.gives})


@dataclass(frozen=True)
class Output:
    """Everything a model says about a batch.

    Attributes:
        stages: The supervised outputs in order; all have the same parts and sizes.
        stride: Input pixels per heatmap cell.
    """

    stages: tuple[Stage, ...]
    stride: int = 1

    @property
    def last(self) -> Stage:
        """The prediction."""
        return self.stages[-1]

    @property
    def gives(self) -> frozenset[str]:
        """Names of the parts of every stage."""
        return self.last.gives

    def map(self, function: Callable[[Tensor], Tensor]) -> Output:
        """The output with ``function`` applied to every tensor, e.g. ``Tensor.detach``."""
        return Output(tuple(stage.map(function) for stage in self.stages), self.stride)

    def split(self, sizes: Sequence[int]) -> tuple[Output, ...]:
        """Take a batch apart that was joined for one forward, e.g. into its labelled and unlabelled halves.

        Args:
            sizes: Images in each part; they add up to B.

        Returns:
            An output per size.
        """
        # One Tensor.split each: the gradient of a slice is a tensor of the whole batch, mostly zeros.
        parts = [
            {name: getattr(stage, name).split(list(sizes)) for name in stage.gives} for stage in self.stages
        ]
        return tuple(
            Output(
                tuple(Stage(**{name: halves[i] for name, halves in part.items()}) for part in parts),
                self.stride,
            )
            for i in range(len(sizes))
        )


def joined(outputs: Sequence[Output]) -> Output:
    """Outputs of one network as that of their batches in a row: the reverse of :meth:`Output.split`."""
    stages = zip(*(output.stages for output in outputs), strict=True)
    return Output(
        tuple(
            Stage(**{name: torch.cat([getattr(stage, name) for stage in parts]) for name in parts[0].gives})
            for parts in stages
        ),
        outputs[0].stride,
    )


@dataclass(frozen=True)
class Traits:
    """What a model promises; see the module's text.

    Attributes:
        gives: Parts of a stage.
        stride: Input pixels per heatmap cell.
        input_multiple: Both sides of the input are multiples of it.
    """

    gives: frozenset[str] = frozenset({"heatmaps"})
    stride: int = 1
    input_multiple: int = 1


def traits(model: nn.Module | type[nn.Module]) -> Traits:
    """The promises of a model (exact) or of its class (the most it can keep); a silent model gives heatmaps at stride 1."""
    declared: dict[str, Any] = {
        f.name: getattr(model, f.name) for f in fields(Traits) if getattr(model, f.name, None) is not None
    }
    return Traits(**declared)


def as_output(result: Tensor | Output) -> Output:
    """An :class:`Output`, whichever of the two a model returned."""
    return result if isinstance(result, Output) else Output((Stage(heatmaps=result),))


def check_images(images_B3HW: Tensor, multiple: int, model: str) -> None:
    """Refuse what a model cannot take.

    Raises:
        ValueError: Not a batch of RGB images, or a side that is no multiple of ``multiple``.
    """
    shape = tuple(images_B3HW.shape)
    if len(shape) != 4 or shape[1] != 3 or any(side % multiple for side in shape[2:]):
        raise ValueError(
            f"{model} needs images (B, 3, h, w) with h and w multiples of {multiple}, not {shape}"
        )
