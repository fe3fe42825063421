"""The expected pixel under the spatial softmax."""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.decode import spatial_softmax
from pipeline.heatmaps.decoder import MeanDecoder, require


class Softargmax(MeanDecoder):
    """See :func:`pipeline.heatmaps.decode.softargmax`.

    Args:
        beta: β, the sharpness.

    Raises:
        ConfigError: It is not a positive number.
    """

    reads = "scores"

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = require("softargmax", "beta", beta)

    def weights(self, values_BKHW: Tensor) -> Tensor:
        """softmax(β h)."""
        return spatial_softmax(values_BKHW, self.beta)


DECODER = Softargmax
