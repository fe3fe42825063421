"""The drawn operations applied to a batch of images.

All numbers are on the CPU: nothing waits for the device to decide which images an operation is for, and each operation touches
those alone. On a CPU images go through in groups that stay in its cache: a batch of 256 px images does not fit, and reading
it from memory for every operation takes longer than the operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.augment.blur import REACH, convolve, gaussian_taps
from pipeline.augment.colour import ColourDraw, recolour
from pipeline.augment.geometry import Padding, resample, sampling, unchanged
from pipeline.augment.occlusion import cover

_GROUP_PIXELS = 1 << 17
"""Pixels a CPU thread takes at a time, 1.5 MB as float RGB; in smaller groups the calls cost more than the cache saves."""
_LOW_PASS_BELOW = 0.8
"""Scale under which bilinear resampling aliases visibly: its tent reaches one source pixel, whatever the scale."""


@dataclass(frozen=True)
class ImagePlan:
    """What happens to each image; on the CPU.

    Attributes:
        affine_B23: float64, from image to changed image, px.
        scale_B: Factors within.
        colour: Changes of colour.
        sigma_B: Of the blur, px; 0 is none.
        boxes_B4: Rectangles, px; empty is none.
        paint_B3: Their colours.
        padding: What lies outside of an image.
    """

    affine_B23: Tensor
    scale_B: Tensor
    colour: ColourDraw
    sigma_B: Tensor
    boxes_B4: Tensor
    paint_B3: Tensor
    padding: Padding


class _Steps:
    """The plan's numbers as the operations take them, made once for the whole batch."""

    def __init__(self, plan: ImagePlan, side: int) -> None:
        self.padding: Padding = plan.padding
        mirror_23 = torch.tensor([[-1.0, 0.0, side - 1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
        mirrored_B = (plan.affine_B23 == mirror_23).all(dim=2).all(dim=1)
        self.mirrored = _places(mirrored_B)
        self.moved = _places(~(unchanged(plan.affine_B23) | mirrored_B))
        self.sampling_B23 = sampling(plan.affine_B23, side)
        # The Gaussian, in source px, that together with the tent passes what the smaller grid can hold.
        low_pass_B = 0.5 * (plan.scale_B.clamp(max=1) ** -2 - 1).sqrt() * (plan.scale_B < _LOW_PASS_BELOW)
        self.low_pass = _Kernels(low_pass_B)
        self.coloured = _places(plan.colour.changed())
        if self.coloured:
            self.matrix_B33, self.pivot_B3 = plan.colour.matrices()
            self.pivots = bool((self.pivot_B3 != 0).any())
        self.blur = _Kernels(plan.sigma_B)
        self.boxes_B4, self.paint_B3 = plan.boxes_B4, plan.paint_B3

    def __call__(self, images_B3SS: Tensor, start: int, out_B3SS: Tensor) -> None:
        """Change images ``start`` … of the batch into ``out_B3SS``, their places in the result."""
        stop = start + len(images_B3SS)
        work, white = (images_B3SS, 1) if images_B3SS.is_floating_point() else (images_B3SS.float(), 255)
        moved, coloured = _within(self.moved, start, stop), _within(self.coloured, start, stop)
        shrunk = _within(self.low_pass.places, start, stop)
        if shrunk:
            # A copy: these may be the caller's own images.
            work = _change(work.clone(), shrunk, start, self.low_pass)
        if len(moved) == len(coloured) == len(work):
            # The matrix divides, too, and writes the result, which is not in the cache: once instead of twice.
            work = resample(work, self.sampling_B23[start:stop], self.padding)
            self._recolour(work, coloured, white, out_B3SS)
            coloured = []
        elif len(moved) == len(work):
            # The copy into the result divides at no cost.
            torch.div(resample(work, self.sampling_B23[start:stop], self.padding), white, out=out_B3SS)
        else:
            torch.div(work, white, out=out_B3SS)
            _change(out_B3SS, _within(self.mirrored, start, stop), start, lambda some, _: some.flip(-1))
            _change(out_B3SS, moved, start, self._resample)
        _change(out_B3SS, coloured, start, self._recolour)
        _change(out_B3SS, _within(self.blur.places, start, stop), start, self.blur)
        cover(out_B3SS, self.boxes_B4[start:stop], self.paint_B3[start:stop])

    def _resample(self, images_N3SS: Tensor, places: list[int]) -> Tensor:
        return resample(images_N3SS, self.sampling_B23[places], self.padding)

    def _recolour(
        self, images_N3SS: Tensor, places: list[int], white: int = 1, out_N3SS: Tensor | None = None
    ) -> Tensor:
        """Change colours of images in [0, white]."""
        matrix_N33, pivot_N3 = self.matrix_B33[places] / white, self.pivot_B3[places] / white
        return recolour(images_N3SS, matrix_N33, pivot_N3 if self.pivots else None, out_N3SS)


class _Kernels:
    """Gaussians of a batch; those of a few images reach as far as the widest of these."""

    def __init__(self, sigma_B: Tensor) -> None:
        self.places = _places(sigma_B > 0)
        if self.places:
            self.taps_BR = gaussian_taps(sigma_B)
            self.radii = torch.ceil(REACH * sigma_B).long().tolist()

    def __call__(self, images_N3SS: Tensor, places: list[int]) -> Tensor:
        radius = max(self.radii[place] for place in places)
        return convolve(images_N3SS, self.taps_BR[places, : radius + 1])


def _places(chosen_B: Tensor) -> list[int]:
    return [place for place, flag in enumerate(chosen_B.tolist()) if flag]


def _within(places: list[int], start: int, stop: int) -> list[int]:
    return [place for place in places if start <= place < stop]


def _change(
    images_B3SS: Tensor, places: list[int], start: int, change: Callable[[Tensor, list[int]], Tensor]
) -> Tensor:
    """Change some of the images from ``start`` on, in place."""
    if len(places) == len(images_B3SS):
        images_B3SS.copy_(change(images_B3SS, places))
    elif places:
        here = torch.tensor([place - start for place in places], device=images_B3SS.device)
        changed_N3SS = change(images_B3SS.index_select(0, here), places)
        if images_B3SS.device.type == "cpu":
            # index_copy_ is one launch on a GPU, and four times slower than this on a CPU.
            for place, changed_3SS in zip(places, changed_N3SS, strict=True):
                images_B3SS[place - start].copy_(changed_3SS)
        else:
            images_B3SS.index_copy_(0, here, changed_N3SS)
    return images_B3SS


def change_images(images_B3SS: Tensor, plan: ImagePlan) -> Tensor:
    """New images by the plan.

    Args:
        images_B3SS: Floating point in [0, 1], or uint8; left as they are.
        plan: For all of them.

    Returns:
        (B, 3, S, S), contiguous, on the same device; of the same floating type, float32 for uint8. To the bit what came where
        nothing happens, mirrored where nothing else does.
    """
    dtype = images_B3SS.dtype if images_B3SS.is_floating_point() else torch.float32
    out_B3SS = torch.empty(images_B3SS.shape, dtype=dtype, device=images_B3SS.device)
    count, side = len(images_B3SS), images_B3SS.shape[-1]
    if count == 0:
        return out_B3SS
    steps = _Steps(plan, side)
    group = count
    if images_B3SS.device.type == "cpu":
        group = max(torch.get_num_threads() * _GROUP_PIXELS // side**2, 1)
    for start in range(0, count, group):
        steps(images_B3SS[start : start + group], start, out_B3SS[start : start + group])
    return out_B3SS
