"""The sets of UGLLI: Kumar et al., "UGLLI Face Alignment: Estimating Uncertainty with Gaussian Log-Likelihood Loss", ICCVW 2019.

Section 4.1: split 1 "using scaling, rotation, and color jittering", split 2 "scaling, rotation, color jittering, and random
occlusion". No mirroring in either.

The paper gives neither ranges nor probabilities: those here are ours, and parameters. Colour jittering is a factor for each
channel; brightness, contrast, saturation and hue are left to ``custom``.
"""

from __future__ import annotations

from typing import Literal

from pipeline.augment.blur import Blur
from pipeline.augment.colour import Colour
from pipeline.augment.compose import Augmentation
from pipeline.augment.geometry import Geometry
from pipeline.augment.occlusion import Occlusion
from pipeline.markup import Markup


class UGLLI(Augmentation):
    """Scale, rotation and colour jitter; with occlusion for split 2.

    Args:
        markup: Of the landmarks.
        split: The paper's split of 300-W: 2 adds occlusion.
        rotation: Largest turn to either side, degrees.
        scale: Largest change of size, as a share.
        channels: Largest change of each channel's factor, as a share.
        occlusion: Probability of a rectangle, in split 2.
        occlusion_size: Smallest and largest width and height of it, as shares of the side.

    Raises:
        ConfigError: A value that cannot be.
    """

    def __init__(
        self,
        markup: Markup,
        split: Literal[1, 2] = 1,
        rotation: float = 30.0,
        scale: float = 0.2,
        channels: float = 0.2,
        occlusion: float = 0.5,
        occlusion_size: tuple[float, float] = (0.1, 0.4),
    ) -> None:
        super().__init__(
            markup,
            Geometry(rotation=rotation, scale=scale),
            Colour(channels=channels),
            Blur(),
            Occlusion(occlusion if split == 2 else 0.0, occlusion_size),
        )


AUGMENTATION = UGLLI
