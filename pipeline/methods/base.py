"""The base of methods: the parts of a network's output that a loss is computed on, and the reading of the output.

The base does all that the papers share, so that any generator of heatmaps goes with any loss on heatmaps, points or
covariances and any decoder, and any regressor with any loss on points:

    network gives            loss needs     how
    heatmaps                 heatmaps       on every stage's heatmaps, in their cells
    heatmaps                 points         on what a differentiable decoder reads, in px of the input
    heatmaps                 covariance     likewise, with the heatmap's second moments
    heatmaps and L           covariance     likewise, with the network's own L (Σ = LLᵀ)
    points                   points         directly
    points and L             covariance     directly

Everything else cannot work and is refused, when the config is read, by :mod:`pipeline.methods.pairs`. Every stage is supervised,
each with a weight; a paper's file adds what only that paper does.

Units: points in px of the network's input, (x, y), the centre of the top-left pixel at (0, 0); heatmaps on their own grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.heatmaps import decode
from pipeline.heatmaps.decode import mean
from pipeline.heatmaps.decoder import Decoder
from pipeline.heatmaps.draw import laplace_heatmaps
from pipeline.heatmaps.stride import to_cells, to_pixels
from pipeline.losses.base import HeatmapLoss
from pipeline.losses.coordinates import CoordinateLoss, CovarianceLoss, Gaussian
from pipeline.losses.decoded import Decoded
from pipeline.markup import Markup
from pipeline.methods.pairs import refuse_pair
from pipeline.models.cholesky import covariance as cholesky_covariance
from pipeline.models.output import Output, Stage, Traits

SupervisedLoss = HeatmapLoss | CoordinateLoss | CovarianceLoss

# The shape from which a regressor predicts displacements; see pipeline.methods.anisotropic.
Origin = Literal["centre", "mean", "mean_of_bin_means"]

# Cells a side of the heatmaps drawn from the points of a regressor, for objectives that look at heatmaps.
_DRAWN_CELLS = 64


@dataclass(frozen=True)
class Prediction:
    """What a network says of a batch of images.

    Attributes:
        points_BK2: Landmarks (x, y), px of the network's input.
        covariance_BK22: Their uncertainty, px² of the input; None from a network that states none.
        heatmaps_BKHW: As its loss sees them (distributions, or values of pixels), on their own grid; None from a regressor.
        stride: Input px per cell.
    """

    points_BK2: Tensor
    covariance_BK22: Tensor | None = None
    heatmaps_BKHW: Tensor | None = None
    stride: int = 1

    @property
    def scatter(self) -> Tensor | None:
        """Mean distance of a heatmap's mass from its centre, (B, K) px of the network's input; None from a regressor."""
        if self.heatmaps_BKHW is None:
            return None
        mass = self.heatmaps_BKHW.clamp(min=0.0)  # values of pixels are no distribution yet
        return decode.scatter(mass / mass.sum((-2, -1), keepdim=True).clamp(min=1e-12)) * self.stride


StageWeights = tuple[float, ...] | Literal["doubling"] | None
"""Of the stages of a network; see ``Method``."""


class Method(nn.Module):
    """Supervision of every stage, and the reading of the last.

    Args:
        loss: On heatmaps, points or covariances.
        traits: What the network promises.
        markup: Of the landmarks.
        input_size: Side of the network's input, px.
        decoder: How heatmaps are read; None is the method's own choice, else the loss's.
        stages: Weight of each supervised stage, first to last; None weighs all alike, with 1. ``[0, 0, 0, 1]`` supervises the
            last of four alone; ``doubling`` is …, ¼, ½, 1, of however many stages there are.

    Raises:
        ConfigError: Parts that cannot work together; weights that are negative, all 0, or whose last is.
    """

    # The decoder of the paper, for losses that train through one, or for all losses.
    own_decoder: ClassVar[type[Decoder] | None] = None
    origin: Origin = "centre"
    own_decoder_reads_all: ClassVar[bool] = False

    def __init__(
        self,
        loss: SupervisedLoss,
        traits: Traits,
        markup: Markup,
        input_size: int,
        decoder: Decoder | None = None,
        stages: StageWeights = None,
    ) -> None:
        super().__init__()
        refuse_pair(loss, traits.gives, decoder)
        if isinstance(stages, tuple) and (not stages or min(stages) < 0.0 or stages[-1] <= 0.0):
            raise ConfigError(
                f"method.stages = {list(stages)}: weights of the stages, none below 0; the last stage is the prediction and "
                "needs a positive one"
            )
        self.loss, self.traits, self.markup = loss, traits, markup
        self.stages = stages
        self.decoder = decoder or self.default_decoder(loss, traits.gives)
        self.maps: HeatmapLoss | None = None
        if "heatmaps" in traits.gives:
            self.maps = (
                loss
                if isinstance(loss, HeatmapLoss)
                else Decoded(loss, self.decoder, 1.0, stride=traits.stride)
            )
            self.drawn_stride, cells = traits.stride, input_size // traits.stride
        else:
            self.drawn_stride = max(round(input_size / _DRAWN_CELLS), 1)
            cells = -(-input_size // self.drawn_stride)
        # (h, w) of the heatmaps, drawn or predicted.
        self.grid = (cells, cells)

    @classmethod
    def default_decoder(cls, loss: SupervisedLoss, gives: frozenset[str]) -> Decoder | None:
        """The decoder where none is configured; None leaves it to the loss."""
        if cls.own_decoder is None or "heatmaps" not in gives:
            return None
        if loss.needs == "heatmaps" and not cls.own_decoder_reads_all:
            return None
        return cls.own_decoder()

    def supervised(
        self, output: Output, target_BK2: Tensor, mask_BK: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The supervised loss of a batch.

        Args:
            output: Of the network.
            target_BK2: Landmarks, px of the input; masked ones may be anything, NaN included.
            mask_BK: Landmarks to learn from.

        Returns:
            The weighted sum over stages; and detached metrics to log, with those that a paper adds.

        Raises:
            ConfigError: Another number of weights than the network has stages.
        """
        self.check(output)
        weights = self._weights(len(output.stages))
        terms = [
            (weight, self.stage_loss(stage, output.stride, target_BK2, mask_BK))
            for weight, stage in zip(weights, output.stages, strict=True)
            if weight
        ]
        total = terms[0][1] if terms[0][0] == 1.0 else terms[0][0] * terms[0][1]
        for weight, term in terms[1:]:
            total = total + (term if weight == 1.0 else weight * term)
        metrics: dict[str, Tensor] = {}
        if len(terms) > 1:
            metrics["last_stage"] = terms[-1][1].detach()
        return total, metrics

    def _weights(self, count: int) -> tuple[float, ...]:
        if self.stages == "doubling":
            return tuple(0.5**after for after in reversed(range(count)))
        return self.stages or (1.0,) * count

    def check(self, output: Output) -> None:
        """Refuse what the network says if it is not what it promised, or what the weights are for.

        Raises:
            ConfigError: See there.
        """
        if isinstance(self.stages, tuple) and len(self.stages) != len(output.stages):
            raise ConfigError(
                f"method.stages has {len(self.stages)} weights, but the network has {len(output.stages)} stages"
            )
        heatmaps = output.last.heatmaps
        if heatmaps is not None and tuple(heatmaps.shape[1:]) != (self.markup.num_landmarks, *self.grid):
            raise ConfigError(
                f"the network gives heatmaps of {tuple(heatmaps.shape[1:])}, not {(self.markup.num_landmarks, *self.grid)}: its "
                f"stride ({output.stride}) is not what it says, or input_size is no multiple of what it needs"
            )

    def stage_loss(self, stage: Stage, stride: int, target_BK2: Tensor, mask_BK: Tensor) -> Tensor:
        """The loss of one stage; arguments as :meth:`supervised`'s."""
        if self.maps is None:
            assert stage.points is not None  # traits were checked
            if isinstance(self.loss, CovarianceLoss):
                return self._covariance_loss(stage, stage.points, target_BK2, mask_BK)
            return self._loss(stage.points, target_BK2, mask_BK)
        assert stage.heatmaps is not None
        if isinstance(self.loss, CovarianceLoss) and stage.cholesky is not None:
            points_BK2 = to_pixels(mean(self.maps.heatmaps(stage.heatmaps)), stride)
            return self._covariance_loss(stage, points_BK2, target_BK2, mask_BK)
        probabilities = self.maps.heatmaps(stage.heatmaps)
        return self.maps.forward_from_probabilities(probabilities, to_cells(target_BK2, stride), mask_BK)

    def _loss(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor) -> Tensor:
        loss: Tensor = self.loss(points_BK2, target_BK2, mask_BK)
        return loss

    def _covariance_loss(
        self, stage: Stage, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor
    ) -> Tensor:
        assert stage.cholesky is not None
        first, below, second = stage.cholesky.unbind(-1)
        entries = (first, torch.zeros_like(first), below, second)
        factor_BK22 = torch.stack(entries, dim=-1).unflatten(-1, (2, 2))
        loss: Tensor = self.loss(Gaussian(points_BK2, factor_BK22), target_BK2, mask_BK)
        return loss

    def decode(self, output: Output) -> Prediction:
        """The landmarks of the last stage, with their uncertainty.

        Args:
            output: Of the network.

        Returns:
            What :class:`Prediction` says; covariances are the network's own L, else what the loss reads from the heatmap (the
            Laplace scale, second moments), else None.
        """
        stage = output.last
        covariance = None if stage.cholesky is None else cholesky_covariance(stage.cholesky.float())
        if stage.heatmaps is None or self.maps is None:
            assert stage.points is not None
            return Prediction(stage.points.float(), covariance)
        heatmaps = self.maps.heatmaps(stage.heatmaps)
        decoder = self.decoder
        cells = self.maps.points(heatmaps) if decoder is None else decoder(stage.heatmaps, heatmaps)
        if covariance is None:
            covariance = self.maps.covariance(heatmaps) * output.stride**2
        return Prediction(to_pixels(cells.float(), output.stride), covariance, heatmaps, output.stride)

    def heatmaps(self, output: Output) -> Tensor:
        """Heatmaps (B, K, *grid) of the last stage, with gradient, as :meth:`draw_true` draws true ones.

        A regressor's are drawn from its points, Laplace(s, 1 cell): a discriminator can judge any network.
        """
        stage = output.last
        if self.maps is not None and stage.heatmaps is not None:
            return self.maps.heatmaps(stage.heatmaps)
        assert stage.points is not None
        return laplace_heatmaps(to_cells(stage.points, self.drawn_stride), self.grid)

    def points(self, output: Output) -> Tensor:
        """Landmarks (B, K, 2) of the last stage with a useful gradient, px of the input.

        The mean of the heatmaps' mass, whatever decoder reads them; a regressor's points as they are.
        """
        stage = output.last
        if self.maps is None or stage.heatmaps is None:
            assert stage.points is not None
            return stage.points
        mass = self.maps.heatmaps(stage.heatmaps).clamp(min=0.0)
        share = mass / mass.sum((-2, -1), keepdim=True).clamp(min=1e-12)
        return to_pixels(mean(share), output.stride)

    def draw_true(self, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Heatmaps (B, K, *grid) the loss holds for true.

        Args:
            target_BK2: Landmarks, px of the input; masked ones may be anything.
            mask_BK: Landmarks that are known; the others' heatmaps are empty.
        """
        cells = to_cells(torch.nan_to_num(target_BK2), self.drawn_stride)
        if self.maps is None:
            return laplace_heatmaps(cells, self.grid, 1.0, mask_BK)
        return self.maps.draw_true(cells, self.grid, mask_BK)
