"""UGLLI's softargmax with a temperature."""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.average import temperature_weights
from pipeline.heatmaps.decoder import MeanDecoder, require


class TemperatureSoftargmax(MeanDecoder):
    """See :func:`pipeline.heatmaps.average.temperature_softargmax`.

    Args:
        temperature: T; towards 0 it is the argmax.

    Raises:
        ConfigError: It is not a positive number.
    """

    reads = "scores"

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = require("temperature_softargmax", "temperature", temperature)

    def weights(self, values_BKHW: Tensor) -> Tensor:
        """softmax(h / T)."""
        return temperature_weights(values_BKHW, self.temperature)


DECODER = TemperatureSoftargmax
