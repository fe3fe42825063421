"""A set of one's own: every operation with its probability and range, all off unless asked for."""

from __future__ import annotations

from pipeline.augment.blur import Blur
from pipeline.augment.colour import Colour
from pipeline.augment.compose import Augmentation
from pipeline.augment.geometry import Geometry, Padding
from pipeline.augment.occlusion import Occlusion
from pipeline.markup import Markup


class Custom(Augmentation):
    """``augmentation: {name: custom, rotation: 30, flip: 0.5, …}``.

    Args:
        markup: Whose landmarks change sides when an image is mirrored.
        rotation: Largest turn to either side, degrees.
        rotation_probability: Of turning at all.
        scale: Largest change of size, as a share.
        scale_probability: Of scaling at all.
        translation: Largest shift in x and in y, as a share of the side.
        translation_probability: Of shifting at all.
        flip: Probability of mirroring.
        brightness: Largest change of the common factor of all channels, as a share. Likewise:
        contrast: Of the distance to the image's mean luma.
        saturation: Of the distance to the pixel's luma.
        channels: Of each channel's own factor.
        hue: Largest turn of the chroma to either side, degrees.
        colour_probability: Of the changes from brightness to hue, together.
        grey: Probability of taking all colour away.
        blur: Probability of a Gaussian blur.
        blur_sigma: Its smallest and largest standard deviation, as shares of the side.
        occlusion: Probability of a rectangle.
        occlusion_size: Smallest and largest width and height of it, as shares of the side.
        padding: What lies outside of a turned or shifted image: its border repeated, or black (``zeros``).
        margin: How far outside of the image a landmark still counts, as a share of the side.

    Raises:
        ConfigError: A value that cannot be.
    """

    def __init__(
        self,
        markup: Markup,
        rotation: float = 0.0,
        rotation_probability: float = 1.0,
        scale: float = 0.0,
        scale_probability: float = 1.0,
        translation: float = 0.0,
        translation_probability: float = 1.0,
        flip: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        channels: float = 0.0,
        hue: float = 0.0,
        colour_probability: float = 1.0,
        grey: float = 0.0,
        blur: float = 0.0,
        blur_sigma: tuple[float, float] = (0.002, 0.01),
        occlusion: float = 0.0,
        occlusion_size: tuple[float, float] = (0.1, 0.4),
        padding: Padding = "border",
        margin: float = 0.0,
    ) -> None:
        super().__init__(
            markup,
            Geometry(
                rotation,
                scale,
                translation,
                flip,
                rotation_probability,
                scale_probability,
                translation_probability,
            ),
            Colour(brightness, contrast, saturation, channels, hue, colour_probability, grey),
            Blur(blur, blur_sigma),
            Occlusion(occlusion, occlusion_size),
            padding,
            margin,
        )


AUGMENTATION = Custom
