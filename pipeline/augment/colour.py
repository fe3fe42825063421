"""Brightness, contrast, saturation, hue, channel gains and grey: one 3 × 4 matrix per image, applied once.

All of these are affine in RGB, so that their product is too, and an image is read and written once. Two differences to a chain
of 8-bit operations follow: colours are clipped to [0, 1] at the end only, and hue is a turn of the chroma plane (YIQ), which
keeps luma, not of HSV's cone. Luma is ITU-R BT.601's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.augment.draws import between, check_number, chosen
from pipeline.precision import at_least_float32

_LUMA = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
_YIQ = torch.tensor(
    [[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]],
    dtype=torch.float64,
)
_RGB = torch.linalg.inv(_YIQ)


@dataclass(frozen=True)
class ColourDraw:
    """What happens to the colours of each image; float64 on the CPU.

    Attributes:
        gain_B3: Factors of the channels, brightness included.
        contrast_B: Factor of the distance to the image's mean luma.
        saturation_B: Factor of the distance to the pixel's own luma; 0 is grey.
        hue_B: Turn of the chroma plane, degrees.
    """

    gain_B3: Tensor
    contrast_B: Tensor
    saturation_B: Tensor
    hue_B: Tensor

    def changed(self) -> Tensor:
        """(B,) bool: images that are not left as they are."""
        factors = torch.cat([self.gain_B3, self.contrast_B[:, None], self.saturation_B[:, None]], dim=1)
        return (factors != 1).any(dim=1) | (self.hue_B != 0)

    def matrices(self) -> tuple[Tensor, Tensor]:
        """What ``recolour`` takes: gains, contrast, saturation and hue, in this order."""
        angle_B = torch.deg2rad(self.hue_B)
        turn_B33 = torch.eye(3, dtype=torch.float64).repeat(len(angle_B), 1, 1)
        turn_B33[:, 1, 1] = turn_B33[:, 2, 2] = torch.cos(angle_B)
        turn_B33[:, 2, 1] = torch.sin(angle_B)
        turn_B33[:, 1, 2] = -turn_B33[:, 2, 1]
        saturation_B11 = self.saturation_B[:, None, None]
        saturation_B33 = saturation_B11 * torch.eye(3, dtype=torch.float64) + (1 - saturation_B11) * _LUMA
        matrix_B33 = _RGB @ turn_B33 @ _YIQ @ saturation_B33
        # Saturation and hue leave greys alone, hence the contrast's pivot, too.
        pivot_B3 = (1 - self.contrast_B)[:, None] * self.gain_B3 * _LUMA
        return matrix_B33 * (self.contrast_B[:, None] * self.gain_B3)[:, None, :], pivot_B3


def recolour(
    images_B3HW: Tensor, matrix_B33: Tensor, pivot_B3: Tensor | None = None, out_B3HW: Tensor | None = None
) -> Tensor:
    """Images with changed colours: M x + (w · mean x) (1, 1, 1), clipped.

    Args:
        images_B3HW: In [0, 1], floating point; computed in float32 at least. Other ranges, by matrices that lead to [0, 1].
        matrix_B33: M of each image.
        pivot_B3: w of each image, for a contrast about its mean; None is 0 and spares the mean.
        out_B3HW: Takes the result; contiguous, other memory than the images. None makes a new one.

    Returns:
        (B, 3, H, W) in [0, 1], of the images' type; ``out_B3HW`` where given.
    """
    flat_B3P = at_least_float32(images_B3HW).flatten(2)
    direct = out_B3HW is not None and out_B3HW.dtype == flat_B3P.dtype
    room_B3P = out_B3HW.view(flat_B3P.shape) if out_B3HW is not None and direct else None
    if pivot_B3 is None:
        changed_B3P = torch.bmm(matrix_B33.to(flat_B3P), flat_B3P, out=room_B3P)
    else:
        offset_B11 = (flat_B3P.mean(-1) * pivot_B3.to(flat_B3P)).sum(-1)[:, None, None]
        changed_B3P = torch.baddbmm(
            offset_B11.expand(-1, 3, 1), matrix_B33.to(flat_B3P), flat_B3P, out=room_B3P
        )
    changed_B3HW = changed_B3P.clamp_(0, 1).view(images_B3HW.shape)
    if out_B3HW is None:
        return changed_B3HW.to(images_B3HW.dtype)
    return out_B3HW if direct else out_B3HW.copy_(changed_B3HW)


@dataclass(frozen=True)
class Colour:
    """Ranges of the changes of colour.

    Attributes:
        brightness: Largest change of the common factor, as a share: factors are in 1 ± brightness. Likewise:
        contrast: Of the distance to the image's mean luma.
        saturation: Of the distance to the pixel's luma.
        channels: Of each channel's own factor.
        hue: Largest turn of the chroma to either side, degrees.
        probability: Of any of the above, together.
        grey: Probability of taking all colour away.

    Raises:
        ConfigError: A value that cannot be.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    channels: float = 0.0
    hue: float = 0.0
    probability: float = 1.0
    grey: float = 0.0

    columns = 9

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation", "channels"):
            check_number(name, getattr(self, name), 0, 1)
        check_number("hue", self.hue, 0, 180, "°")
        check_number("colour_probability", self.probability, 0, 1)
        check_number("grey", self.grey, 0, 1)

    def draw(self, u_BN: Tensor) -> ColourDraw:
        """From ``columns`` uniform numbers an image."""
        jitter_B = chosen(u_BN[:, 0], self.probability)

        def factor(column: int, spread: float) -> Tensor:
            return 1 + between(u_BN[:, column], -spread, spread) * jitter_B

        channels_B3 = torch.stack([factor(column, self.channels) for column in (4, 5, 6)], dim=1)
        return ColourDraw(
            gain_B3=factor(1, self.brightness)[:, None] * channels_B3,
            contrast_B=factor(2, self.contrast),
            saturation_B=factor(3, self.saturation) * ~chosen(u_BN[:, 8], self.grey),
            hue_B=between(u_BN[:, 7], -self.hue, self.hue) * jitter_B,
        )
