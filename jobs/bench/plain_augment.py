"""The plain augmentation that ours is measured against: Pillow, one image at a time, as one would write it for a data set.

The same operations, probabilities and ranges as ours: one affine resampling (bilinear) that holds rotation, scale, shift and
mirror; brightness, contrast and saturation by ``ImageEnhance``, hue by way of HSV, the channels' factors as one lookup table;
grey, blur and the rectangle for the chosen images only. An operation whose range is 0 is left out. What Pillow has no word for
stays cheap: outside of the image is black.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageFilter
from torch import Tensor

Sample = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Image (S, S, 3) uint8, landmarks (K, 2) px, mask (K,) and visible (K,) bool."""


@dataclass(frozen=True)
class Recipe:
    """Probabilities and ranges, in the units of ``pipeline.augment``."""

    rotation: float = 0.0
    scale: float = 0.0
    translation: float = 0.0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    channels: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.0, 0.0)
    occlusion: float = 0.0
    occlusion_size: tuple[float, float] = (0.0, 0.0)


class PlainAugmentation:
    """Changes one sample.

    Args:
        recipe: Of the operations.
        permutation_K: Landmark k of a mirrored image is landmark ``permutation_K[k]`` of the original.
        seed: Of its random numbers.
    """

    def __init__(self, recipe: Recipe, permutation_K: np.ndarray, seed: int) -> None:
        self.recipe, self.permutation_K = recipe, permutation_K
        self.random = np.random.default_rng(seed)
        enhancers = (
            (ImageEnhance.Brightness, recipe.brightness),
            (ImageEnhance.Contrast, recipe.contrast),
            (ImageEnhance.Color, recipe.saturation),
        )
        self.enhancers = [(kind, spread) for kind, spread in enhancers if spread]

    def __call__(self, sample: Sample) -> Sample:
        """The changed sample."""
        recipe, random = self.recipe, self.random
        image_HW3, points_K2, mask_K, visible_K = sample
        image, side = Image.fromarray(image_HW3), image_HW3.shape[0]
        angle = math.radians(random.uniform(-recipe.rotation, recipe.rotation))
        factor = random.uniform(1 - recipe.scale, 1 + recipe.scale)
        shift_2 = random.uniform(-recipe.translation, recipe.translation, 2) * side
        mirrored = random.random() < recipe.flip
        cos, sin, sign = factor * math.cos(angle), factor * math.sin(angle), -1.0 if mirrored else 1.0
        linear_22 = np.array([[sign * cos, -sin], [sign * sin, cos]])
        centre = (side - 1) / 2
        offset_2 = centre - linear_22.sum(1) * centre + shift_2
        back_22 = np.linalg.inv(linear_22)
        # Pillow's map takes edges to edges: half a pixel from our centres.
        start_2 = back_22 @ (-0.5 - offset_2) + 0.5
        data = (*back_22[0], start_2[0], *back_22[1], start_2[1])
        image = image.transform(image.size, Image.Transform.AFFINE, data, resample=Image.Resampling.BILINEAR)
        points_K2 = points_K2 @ linear_22.T + offset_2
        if mirrored:
            points_K2, mask_K, visible_K = (
                values[self.permutation_K] for values in (points_K2, mask_K, visible_K)
            )
        inside_K = ((points_K2 >= -0.5) & (points_K2 <= side - 0.5)).all(1)
        mask_K, visible_K = mask_K & inside_K, visible_K & inside_K
        for kind, spread in self.enhancers:
            image = kind(image).enhance(random.uniform(1 - spread, 1 + spread))
        if recipe.hue:
            image = turn_hue(image, random.uniform(-recipe.hue, recipe.hue))
        if recipe.channels:
            gains = random.uniform(1 - recipe.channels, 1 + recipe.channels, 3)
            image = image.point([min(round(v * g), 255) for g in gains.tolist() for v in range(256)])
        if random.random() < recipe.grey:
            image = image.convert("L").convert("RGB")
        if random.random() < recipe.blur:
            image = image.filter(ImageFilter.GaussianBlur(random.uniform(*recipe.blur_sigma) * side))
        if random.random() < recipe.occlusion:
            half_2 = random.uniform(*recipe.occlusion_size, 2) * side / 2
            middle_2 = random.uniform(0, side, 2)
            low_2, high_2 = (np.clip(np.round(middle_2 + s * half_2), 0, side).astype(int) for s in (-1, 1))
            image.paste(tuple(random.integers(0, 256, 3).tolist()), (*low_2.tolist(), *high_2.tolist()))
            visible_K = visible_K & ~((points_K2 >= low_2 - 0.5) & (points_K2 < high_2 - 0.5)).all(1)
        return np.asarray(image), points_K2, mask_K, visible_K


def turn_hue(image: Image.Image, degrees: float) -> Image.Image:
    """The image with its hue turned: Pillow has 256 hues."""
    hue, saturation, value = image.convert("HSV").split()
    shift = round(degrees / 360 * 256)
    hue = hue.point([(level + shift) % 256 for level in range(256)])
    return Image.merge("HSV", (hue, saturation, value)).convert("RGB")


def collate(samples: list[Sample]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (B, 3, S, S) float32 in [0, 1], landmarks (B, K, 2) float32 px, mask and visible (B, K)."""
    images, points, masks, visibles = zip(*samples, strict=True)
    images_B3SS = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div_(255)
    points_BK2, mask_BK, visible_BK = (torch.from_numpy(np.stack(part)) for part in (points, masks, visibles))
    return images_B3SS.contiguous(), points_BK2.float(), mask_BK, visible_BK
