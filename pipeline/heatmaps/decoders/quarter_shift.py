"""The pixel of the largest value, moved a quarter of a pixel towards its larger neighbours."""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.decoder import Decoder
from pipeline.heatmaps.peak import quarter_shift


class QuarterShift(Decoder):
    """See :func:`pipeline.heatmaps.peak.quarter_shift`."""

    def points(self, values_BKHW: Tensor) -> Tensor:
        """Quarters of pixels, without a gradient."""
        return quarter_shift(values_BKHW)


DECODER = QuarterShift
