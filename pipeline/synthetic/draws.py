"""Random draws and colours of drawn faces."""

from __future__ import annotations

import numpy as np

from pipeline.synthetic.brush import Colour


def rgb(values: np.ndarray) -> Colour:
    """Values (3,) as a colour, sRGB 0…1, never quite black or white."""
    clipped = np.clip(values, 0.01, 0.99)
    return float(clipped[0]), float(clipped[1]), float(clipped[2])


class Draw:
    """Short names for the draws of ``sampling``; one generator, always in the same order."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def uniform(self, low: float, high: float) -> float:
        """Between two bounds."""
        return low + (high - low) * float(self.rng.random())

    def normal(self, sigma: float, limit: float = 2.5) -> float:
        """Around 0, cut off at ``limit`` σ."""
        return sigma * max(-limit, min(limit, float(self.rng.standard_normal())))

    def chance(self, share: float) -> bool:
        """True in a share of all draws."""
        return float(self.rng.random()) < share

    def choice(self, options: tuple[str, ...], weights: tuple[float, ...]) -> str:
        """One of several, by weight."""
        edges = np.cumsum(weights)
        return options[int(np.searchsorted(edges, float(self.rng.random()) * edges[-1], side="right"))]

    def vivid(self) -> Colour:
        """Any clothing colour, from grey to saturated."""
        base, strength = self.rng.random(3), self.uniform(0, 0.8)
        return rgb((base * strength + (1 - strength) * float(self.rng.random())) * 0.9 + 0.04)
