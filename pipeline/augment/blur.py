"""Gaussian blur, separable, with a width of its own for each image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.augment.draws import between, check_number, check_range, chosen
from pipeline.precision import at_least_float32

REACH = 3.0
"""Standard deviations after which the kernel ends: 0.3 % of its mass is beyond, and is shared out over the rest."""


def gaussian_taps(sigma_B: Tensor) -> Tensor:
    """(B, R + 1) float64: weights of the pixel itself and of both its neighbours at 1 … R px; they sum to 1 over all 2 R + 1.

    Args:
        sigma_B: Standard deviations, px, on the CPU; 0 leaves an image as it is. R covers the largest.
    """
    radius = math.ceil(REACH * float(sigma_B.max())) if len(sigma_B) else 0
    offset_R = torch.arange(radius + 1, dtype=torch.float64)
    sigma_B1 = sigma_B.double()[:, None]
    taps_BR = torch.exp(-0.5 * (offset_R / sigma_B1.clamp(min=1e-3)) ** 2)
    taps_BR = torch.where(offset_R <= torch.ceil(REACH * sigma_B1), taps_BR, 0.0)
    return taps_BR / (2 * taps_BR.sum(-1, keepdim=True) - taps_BR[:, :1])


def gaussian_blur(images_B3HW: Tensor, sigma_B: Tensor) -> Tensor:
    """Blurred images; outside of an image its border is repeated.

    Args:
        images_B3HW: Floating point; computed in float32 at least.
        sigma_B: Standard deviation of each image, px, on the CPU (the reach of the kernel is decided there).

    Returns:
        (B, 3, H, W), of the images' type; exactly the image where σ is 0.
    """
    return convolve(images_B3HW, gaussian_taps(sigma_B))


def convolve(images_B3HW: Tensor, taps_BR: Tensor) -> Tensor:
    """``gaussian_blur`` by weights of ``gaussian_taps``."""
    radius = taps_BR.shape[1] - 1
    if radius == 0:
        return images_B3HW.clone()
    work = at_least_float32(images_B3HW)
    weights = taps_BR.to(work)[:, :, None, None, None].unbind(1)
    for axis, pad in ((2, (0, 0, radius, radius)), (3, (radius, radius, 0, 0))):
        length = work.shape[axis]
        padded = F.pad(work, pad, mode="replicate")
        work = padded.narrow(axis, radius, length) * weights[0]
        # Shifted sums: on a CPU several times faster than a grouped convolution, whose three channels fill no vector.
        for offset, weight in enumerate(weights[1:], start=1):
            work.addcmul_(padded.narrow(axis, radius - offset, length), weight)
            work.addcmul_(padded.narrow(axis, radius + offset, length), weight)
    return work.to(images_B3HW.dtype)


@dataclass(frozen=True)
class Blur:
    """How often and how much images are blurred.

    Attributes:
        probability: Of blurring.
        sigma: Smallest and largest standard deviation, as shares of the side: 0.01 is 2.56 px of 256, and 0.8 px of 80.

    Raises:
        ConfigError: A value that cannot be.
    """

    probability: float = 0.0
    sigma: tuple[float, float] = (0.002, 0.01)

    columns = 2

    def __post_init__(self) -> None:
        check_number("blur", self.probability, 0, 1)
        check_range("blur_sigma", self.sigma, 0, 0.1, " of the side")

    def draw(self, u_BN: Tensor, side: int) -> Tensor:
        """From ``columns`` uniform numbers an image: (B,) standard deviations, px, 0 where nothing is blurred."""
        return between(u_BN[:, 1], *self.sigma) * side * chosen(u_BN[:, 0], self.probability)
