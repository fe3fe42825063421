"""The centre of a heatmap's mass."""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.average import relu_weights
from pipeline.heatmaps.decoder import MeanDecoder


class Barycentre(MeanDecoder):
    """See :func:`pipeline.heatmaps.average.barycentre`."""

    def weights(self, values_BKHW: Tensor) -> Tensor:
        """The heatmap without what is negative, normalised."""
        return relu_weights(values_BKHW)


DECODER = Barycentre
