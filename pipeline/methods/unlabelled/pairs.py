"""What a discriminator is shown: an image stacked on its K heatmaps, and how both change together before it looks.

The changes are those of Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020: translation and
cutout, applied to real and generated pairs alike, while D learns and while the generator learns against it, so that D cannot
learn the few real pairs by heart and the generator is never asked for changed heatmaps. Colour is left alone; mirroring is added,
with heatmaps under the names that mirrored landmarks have.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.markup import Markup

HeatmapScale = Literal["unit_peak", "density"]


def scaled(heatmaps_BKHW: Tensor, scale: HeatmapScale) -> Tensor:
    """Heatmaps as they are (``density``), or each divided by its largest value, as large as an image's pixels (``unit_peak``)."""
    if scale == "density":
        return heatmaps_BKHW
    # An empty channel, of an unknown landmark, stays empty.
    return heatmaps_BKHW / heatmaps_BKHW.amax((-2, -1), keepdim=True).clamp(min=1e-12)


def blank(heatmaps_BKHW: Tensor, mask_BK: Tensor) -> Tensor:
    """Heatmaps without those of unknown landmarks; masks are repeated, or left over, where the batches differ."""
    if bool(mask_BK.all()):
        return heatmaps_BKHW
    rows = torch.arange(len(heatmaps_BKHW), device=mask_BK.device) % len(mask_BK)
    return heatmaps_BKHW * mask_BK[rows, :, None, None].to(heatmaps_BKHW.dtype)


def pair(images_B3HW: Tensor, heatmaps_BKHW: Tensor) -> Tensor:
    """(B, 3 + K, h, w): the image in [−1, 1], at the heatmaps' size, stacked on them."""
    size = heatmaps_BKHW.shape[-2:]
    if images_B3HW.shape[-2:] != size:
        images_B3HW = F.interpolate(images_B3HW, size, mode="bilinear", antialias=True, align_corners=False)
    return torch.cat([images_B3HW * 2 - 1, heatmaps_BKHW.to(images_B3HW.dtype)], dim=1)


class PairAugmentation:
    """Translation, cutout and mirroring of pairs, differentiable; each pair is changed for itself, by torch's own generator.

    Args:
        markup: Of the landmarks.
        translation: Largest shift in x and in y, as a share of the side; what comes in is zero.
        cutout: Side of a square set to zero, as a share; 0 cuts none.
        flip: Probability of mirroring.

    Raises:
        ConfigError: A value out of range.
    """

    def __init__(
        self, markup: Markup, translation: float = 0.0, cutout: float = 0.0, flip: float = 0.0
    ) -> None:
        for name, value, most in (
            ("translation", translation, 0.5),
            ("cutout", cutout, 0.9),
            ("flip", flip, 1.0),
        ):
            if not 0.0 <= value <= most:
                raise ConfigError(
                    f"objective 'adversarial', pair_augmentation.{name} = {value}: it must be in 0 … {most:g}"
                )
        self.translation, self.cutout, self.flip = translation, cutout, flip
        # Only what mirrors images must know which landmarks change sides. On the CPU even where a config is tried out on the meta
        # device.
        permutation = torch.arange(markup.num_landmarks, device="cpu")
        if flip:
            permutation = torch.from_numpy(markup.flip_permutation)
        self.channels = torch.cat([torch.arange(3, device="cpu"), permutation + 3])

    def __call__(self, pairs_BCHW: Tensor) -> Tensor:
        """Changed pairs, of the same shape."""
        if self.flip:
            mirrored = pairs_BCHW[:, self.channels.to(pairs_BCHW.device)].flip(-1)
            chosen_B = torch.rand(len(pairs_BCHW), device=pairs_BCHW.device) < self.flip
            pairs_BCHW = torch.where(chosen_B[:, None, None, None], mirrored, pairs_BCHW)
        if self.translation:
            pairs_BCHW = self._shift(pairs_BCHW)
        if self.cutout:
            pairs_BCHW = self._cut(pairs_BCHW)
        return pairs_BCHW

    def _shift(self, pairs_BCHW: Tensor) -> Tensor:
        batch, _, height, width = pairs_BCHW.shape
        device = pairs_BCHW.device
        most = max(round(self.translation * width), 1)
        shift_B2 = torch.randint(-most, most + 1, (batch, 2), device=device)
        rows_BH = torch.arange(height, device=device) + shift_B2[:, :1]
        columns_BW = torch.arange(width, device=device) + shift_B2[:, 1:]
        known_BHW = _within(rows_BH, height)[:, :, None] & _within(columns_BW, width)[:, None]
        place_B = torch.arange(batch, device=device)[:, None, None]
        # Indices in front, channels last: (B, H, W, C).
        moved_BHWC = pairs_BCHW.permute(0, 2, 3, 1)[
            place_B, rows_BH.clamp(0, height - 1)[:, :, None], columns_BW.clamp(0, width - 1)[:, None]
        ]
        return moved_BHWC.permute(0, 3, 1, 2) * known_BHW[:, None]

    def _cut(self, pairs_BCHW: Tensor) -> Tensor:
        batch, _, height, width = pairs_BCHW.shape
        device = pairs_BCHW.device
        side = max(round(self.cutout * width), 1)
        centre_B2 = torch.rand(batch, 2, device=device) * torch.tensor([height, width], device=device)
        rows_BH = (torch.arange(height, device=device) + 0.5 - centre_B2[:, :1]).abs() < side / 2
        columns_BW = (torch.arange(width, device=device) + 0.5 - centre_B2[:, 1:]).abs() < side / 2
        return pairs_BCHW * ~(rows_BH[:, :, None] & columns_BW[:, None])[:, None]


def _within(index: Tensor, length: int) -> Tensor:
    return (index >= 0) & (index < length)
