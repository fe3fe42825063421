"""UGLLI's mean of the positive part of the network's output."""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.average import relu_weights
from pipeline.heatmaps.decoder import MeanDecoder


class ReluMean(MeanDecoder):
    """See :func:`pipeline.heatmaps.average.relu_mean`."""

    reads = "scores"

    def weights(self, values_BKHW: Tensor) -> Tensor:
        """max(h, 0), normalised."""
        return relu_weights(values_BKHW)


DECODER = ReluMean
