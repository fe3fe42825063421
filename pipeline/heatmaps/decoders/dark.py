"""DARK: one Newton step from the peak."""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.decoder import Decoder, require
from pipeline.heatmaps.peak import dark


class Dark(Decoder):
    """See :func:`pipeline.heatmaps.peak.dark`.

    Args:
        blur: σ, px, of the smoothing that comes first; 0 is none.

    Raises:
        ConfigError: It is negative.
    """

    def __init__(self, blur: float = 0.0) -> None:
        self.blur = require("dark", "blur", blur, zero=True)

    def points(self, values_BKHW: Tensor) -> Tensor:
        """Shares of pixels, without a gradient."""
        return dark(values_BKHW, self.blur)


DECODER = Dark
