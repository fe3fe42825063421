"""Anisotropic loss: regress displacements from a mean shape; errors across a curve cost more than errors along it.

Source: Rayhan et al., "Not all points are created equal - an anisotropic cost function for facial landmark location", BMVC 2020:
eqs. 2–6, section 3.
Network: ResNet-50, DenseNet-121 or Wide-ResNet-50 as a regressor; loss: Q₂ with W = ttᵀ/a² + (I − ttᵀ)/b², a = 5 px along the
curve's tangent, b = 3 px across; target: the displacement from the mean of the means of the pose bins; training faces are
balanced over pose (``data.balance``). Baselines in the same harness: ``loss.name`` l2, l1, smooth_l1, wing, and ``awing`` on a
generator of heatmaps.

With a generator of heatmaps the loss is on what a differentiable decoder reads, and ``origin`` has no meaning.
"""

from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.heatmaps.decoder import Decoder
from pipeline.markup import Markup
from pipeline.methods.base import Method, Origin, StageWeights, SupervisedLoss
from pipeline.models.output import Traits


class Anisotropic(Method):
    """The general method, and the shape that displacements start from.

    Args:
        loss: See :class:`~pipeline.methods.base.Method`; likewise the next five.
        traits: Of the network.
        markup: Of the landmarks.
        input_size: Side of the network's input, px.
        decoder: For generators of heatmaps.
        stages: Weights of the stages.
        origin: ``mean_of_bin_means`` (the paper's), ``mean`` of all training shapes, or the image's ``centre``.

    Raises:
        ConfigError: See :class:`~pipeline.methods.base.Method`.
    """

    def __init__(
        self,
        loss: SupervisedLoss,
        traits: Traits,
        markup: Markup,
        input_size: int,
        decoder: Decoder | None = None,
        stages: StageWeights = None,
        origin: Origin = "mean_of_bin_means",
    ) -> None:
        super().__init__(loss, traits, markup, input_size, decoder, stages)
        if origin not in ("centre", "mean", "mean_of_bin_means"):
            raise ConfigError(f"method.origin is '{origin}': choose centre, mean or mean_of_bin_means")
        self.origin: Origin = origin if "heatmaps" not in traits.gives else "centre"


METHOD = Anisotropic
