"""Rectangles of one random colour over a part of the face: what they cover cannot be seen; where it is, is still known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.augment.draws import between, check_number, check_range, chosen


def cover(images_B3HW: Tensor, boxes_B4: Tensor, colours_B3: Tensor) -> None:
    """Paint a rectangle over each image, in place.

    Args:
        images_B3HW: Images.
        boxes_B4: Left, top, right, bottom: pixels of columns left … right − 1 and rows top … bottom − 1 are painted; int64 on the
            CPU, within the image. Empty boxes paint nothing.
        colours_B3: RGB, in the images' range.
    """
    colours_B311 = colours_B3.to(images_B3HW)[:, :, None, None]
    for place, (left, top, right, bottom) in enumerate(boxes_B4.tolist()):
        if left < right and top < bottom:
            images_B3HW[place, :, top:bottom, left:right] = colours_B311[place]


def covered(points_BK2: Tensor, boxes_B4: Tensor) -> Tensor:
    """(B, K) bool: landmarks whose pixel lies under the rectangle; NaN does not.

    Args:
        points_BK2: (x, y) px; the pixel of column c reaches from c − 0.5 to c + 0.5.
        boxes_B4: See ``cover``.
    """
    low_B12, high_B12 = boxes_B4.to(points_BK2)[:, None].split(2, dim=-1)
    return ((points_BK2 >= low_B12 - 0.5) & (points_BK2 < high_B12 - 0.5)).all(dim=-1)


@dataclass(frozen=True)
class Occlusion:
    """How often and how much of a face is hidden.

    Attributes:
        probability: Of a rectangle. Its centre is anywhere in the image; its colour is uniform in RGB.
        size: Smallest and largest width and height, drawn apart, as shares of the side.

    Raises:
        ConfigError: A value that cannot be.
    """

    probability: float = 0.0
    size: tuple[float, float] = (0.1, 0.4)

    columns = 8

    def __post_init__(self) -> None:
        check_number("occlusion", self.probability, 0, 1)
        check_range("occlusion_size", self.size, 0, 1, " of the side")

    def draw(self, u_BN: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """From ``columns`` uniform numbers an image: boxes (B, 4) int64, empty where nothing is hidden, and colours (B, 3)."""
        half_B2 = between(u_BN[:, 1:3], *self.size) / 2
        centre_B2 = u_BN[:, 3:5]
        edges_B4 = torch.cat([centre_B2 - half_B2, centre_B2 + half_B2], dim=1) * side
        boxes_B4 = edges_B4.round().clamp(0, side).long()
        return boxes_B4 * chosen(u_BN[:, 0], self.probability)[:, None], u_BN[:, 5:8]
