"""The set of ADNet: Huang et al., "ADNet: Leveraging Error-Bias Towards Normal Direction in Face Alignment", ICCV 2021.

Section 4: "random rotation (18°), random scaling (± 10 %), random crop (± 5 %), random gray (20 %), random blur (30 %), random
occlusion (40 %) and random horizontal flip (50 %)".

The paper gives single figures. Read here: those of rotation, scaling and crop are ranges, uniform, for every image, the crop a
shift of the square by a share of its side; the others are probabilities. How wide the blur and how large the occlusion are, it
does not say: these ranges are ours.
"""

from __future__ import annotations

from pipeline.augment.blur import Blur
from pipeline.augment.colour import Colour
from pipeline.augment.compose import Augmentation
from pipeline.augment.geometry import Geometry
from pipeline.augment.occlusion import Occlusion
from pipeline.markup import Markup


class ADNet(Augmentation):
    """Rotation, scale, crop, grey, blur, occlusion and flip, at the paper's figures.

    Args:
        markup: Whose landmarks change sides when an image is mirrored.
        blur_sigma: Smallest and largest standard deviation of the blur, as shares of the side.
        occlusion_size: Smallest and largest width and height of the rectangle, as shares of the side.

    Raises:
        ConfigError: A value that cannot be.
    """

    def __init__(
        self,
        markup: Markup,
        blur_sigma: tuple[float, float] = (0.002, 0.01),
        occlusion_size: tuple[float, float] = (0.1, 0.4),
    ) -> None:
        super().__init__(
            markup,
            Geometry(rotation=18.0, scale=0.1, translation=0.05, flip=0.5),
            Colour(grey=0.2),
            Blur(0.3, blur_sigma),
            Occlusion(0.4, occlusion_size),
        )


AUGMENTATION = ADNet
