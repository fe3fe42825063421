"""The pixel of the largest value."""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.decoder import Decoder
from pipeline.heatmaps.peak import argmax


class Argmax(Decoder):
    """See :func:`pipeline.heatmaps.peak.argmax`."""

    def points(self, values_BKHW: Tensor) -> Tensor:
        """Whole pixels, without a gradient."""
        return argmax(values_BKHW)


DECODER = Argmax
