"""ADNet: anisotropic direction loss on masked landmarks, with point and edge maps learned beside them.

Source: Huang et al., "ADNet: Leveraging Error-Bias Towards Normal Direction in Face Alignment", ICCV 2021: eqs. 3–9, section 4.
Generator: stacked hourglasses with the anisotropic attention module (AAM); decoder: of the masked landmark heatmap (eq. 9), its
mean; loss of every stack

    L = ADL(s̃, s) + α AWing(point maps) + β AWing(edge maps),   α = β = 10,

with points drawn as Gaussians of σ = 1.5 cells and edges as lines of width 1 cell. The ablations are choices of the model:
``model.attention`` none, point or edge drops the maps that are not there.

ADNet* of tables 3 and 7 weighs faces with rare attributes more: ``data.focal_attributes`` (:mod:`pipeline.training.focal`).

Choices: The masked heatmap is not negative (:mod:`pipeline.models.attention`, ``masking = product``), and its mean is that of its
own mass, as in the authors' code: under a softmax the hundreds of masked cells, each e⁰, outweigh the landmark, and a small
network learns nothing from it. Without attention scores have either sign, and the decoder is softargmax; ``masking = log`` needs
``decoder.name=softargmax``, too. AWing is the mean over the pixels of a map, then over annotated landmarks, or over curves whose
landmarks are all annotated; the paper does not say how eq. 8 is reduced.

Units: the paper gives ADL none. The authors' published code has coordinates in −1 … 1, and weights ⅛, ¼, ½ and 1 of the four
stacks: ``unit: side``, ``stages: doubling`` (⅛, ¼, ½, 1) and ``loss.knee: 1.28`` on images of 256 px. With ``unit: px`` the maps
weigh 128 times less beside the landmarks for the same α and β.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.heatmaps.decoder import Decoder
from pipeline.heatmaps.decoders.relu_mean import ReluMean
from pipeline.heatmaps.decoders.softargmax import Softargmax
from pipeline.heatmaps.edges import edge_maps
from pipeline.heatmaps.stride import to_cells
from pipeline.heatmaps.unit_peak import unit_gaussian_heatmaps
from pipeline.losses.awing import awing
from pipeline.losses.base import masked_mean
from pipeline.markup import Markup
from pipeline.methods.base import Method, StageWeights, SupervisedLoss
from pipeline.models.output import Stage, Traits

Unit = Literal["px", "side"]


class ADNet(Method):
    """The loss on points, and AWing on the attention's maps.

    Args:
        loss: See :class:`~pipeline.methods.base.Method`; likewise the next four.
        traits: Heatmaps, and what the attention has of ``edges`` and ``point_maps``.
        markup: Its curves are the edges.
        input_size: Side of the network's input, px.
        decoder: None is ``relu_mean`` with attention, ``softargmax`` without.
        stages: Weights of the stacks.
        alpha: α of the point maps.
        beta: β of the edge maps.
        sigma: σ of the point maps, cells.
        line_width: Of the edge maps, cells.
        unit: Of the loss on landmarks: px of the input, or halves of its side.

    Raises:
        ConfigError: A network without heatmaps, or a value out of range.
    """

    @classmethod
    def default_decoder(cls, loss: SupervisedLoss, gives: frozenset[str]) -> Decoder | None:
        """See the module's text."""
        if loss.needs == "heatmaps":
            return None
        return ReluMean() if gives & {"edges", "point_maps"} else Softargmax()

    def __init__(
        self,
        loss: SupervisedLoss,
        traits: Traits,
        markup: Markup,
        input_size: int,
        decoder: Decoder | None = None,
        stages: StageWeights = None,
        alpha: float = 10.0,
        beta: float = 10.0,
        sigma: float = 1.5,
        line_width: float = 1.0,
        unit: Unit = "px",
    ) -> None:
        super().__init__(loss, traits, markup, input_size, decoder, stages)
        if "heatmaps" not in traits.gives:
            raise ConfigError("method 'adnet' needs a generator of heatmaps, e.g. model.name=hourglass")
        for name, value, low in (
            ("alpha", alpha, 0.0),
            ("beta", beta, 0.0),
            ("sigma", sigma, 0.05),
            ("line_width", line_width, 0.05),
        ):
            if not low <= value < float("inf"):
                raise ConfigError(f"method.{name} is {value}; it must be {low:g} or more")
        if unit not in get_args(Unit):
            raise ConfigError(f"method.unit is '{unit}': choose from {', '.join(get_args(Unit))}")
        self.per_px = 1.0 if unit == "px" else 2.0 / input_size
        self.alpha, self.beta, self.sigma, self.line_width = alpha, beta, sigma, line_width

    def stage_loss(self, stage: Stage, stride: int, target_BK2: Tensor, mask_BK: Tensor) -> Tensor:
        """The loss of one stack."""
        total = self.per_px * super().stage_loss(stage, stride, target_BK2, mask_BK)
        if stage.point_maps is not None and self.alpha:
            total = total + self.alpha * self.point_loss(stage.point_maps, stride, target_BK2, mask_BK)
        if stage.edges is not None and self.beta:
            total = total + self.beta * self.edge_loss(stage.edges, stride, target_BK2, mask_BK)
        return total

    def point_loss(self, maps_BKHW: Tensor, stride: int, target_BK2: Tensor, mask_BK: Tensor) -> Tensor:
        """AWing of the point maps, in [0, 1]; scalar."""
        size = (maps_BKHW.shape[-2], maps_BKHW.shape[-1])
        truth = unit_gaussian_heatmaps(to_cells(target_BK2, stride), size, self.sigma, mask_BK)
        return masked_mean(awing(maps_BKHW.to(truth.dtype), truth).mean((-2, -1)), mask_BK)

    def edge_loss(self, maps_BEHW: Tensor, stride: int, target_BK2: Tensor, mask_BK: Tensor) -> Tensor:
        """AWing of the edge maps, in [0, 1]; scalar."""
        size = (maps_BEHW.shape[-2], maps_BEHW.shape[-1])
        cells = to_cells(target_BK2, stride)
        truth = edge_maps(cells, self.markup.curves, size, self.line_width, mask_BK)
        per_curve = awing(maps_BEHW.to(truth.edges_BEHW.dtype), truth.edges_BEHW).mean((-2, -1))
        # A face's weight, where the mask holds one: AWing's curves weigh what their face does.
        return masked_mean(per_curve, truth.complete_BE * mask_BK.amax(1, keepdim=True))


METHOD = ADNet
