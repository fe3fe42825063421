"""Rotation, scale, translation and mirroring: one affine map per image, one resampling.

An affine map (B, 2, 3) takes a landmark (x, y), px, of the image to its place in the changed image: ``move`` applies it to
landmarks, ``warp`` to images. Pixel coordinates throughout, the centre of the top-left pixel at (0, 0); the turn, the scale and
the mirror keep the image's centre, (S − 1) / 2, where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.augment.draws import between, check_number, chosen
from pipeline.precision import at_least_float32, wide_dtype

Padding = Literal["border", "zeros"]
"""What lies outside of an image: its border repeated, as in the stored crops (``pipeline.faces.crop``), or black."""


def affines(
    side: int, rotation_B: Tensor, scale_B: Tensor, shift_B2: Tensor, flip_B: Tensor | None = None
) -> Tensor:
    """Affine maps from their parts: mirror first, then turn and scale, then shift.

    Args:
        side: S, px.
        rotation_B: Degrees, clockwise as seen (y points down).
        scale_B: Factor; 2 makes the face twice as large.
        shift_B2: Shift in x and in y, as a share of the side.
        flip_B: bool, mirror left and right. None mirrors none.

    Returns:
        (B, 2, 3) of ``rotation_B``'s type and device; exactly the identity, or the mirror, where nothing else changes.
    """
    angle_B = torch.deg2rad(rotation_B)
    cos_B, sin_B = scale_B * torch.cos(angle_B), scale_B * torch.sin(angle_B)
    sign_B = torch.ones_like(scale_B) if flip_B is None else torch.where(flip_B, -1.0, 1.0).to(scale_B)
    centre = (side - 1) / 2
    linear_B22 = torch.stack([sign_B * cos_B, -sin_B, sign_B * sin_B, cos_B], dim=-1).view(-1, 2, 2)
    offset_B2 = centre - linear_B22.sum(-1) * centre + shift_B2 * side
    return torch.cat([linear_B22, offset_B2[:, :, None]], dim=-1)


def random_affines(
    count: int,
    side: int,
    *,
    rotation: float = 0.0,
    scale: float = 0.0,
    shift: float = 0.0,
    flip: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Independent random affine maps, every part uniform in its range.

    Args:
        count: B.
        side: S, px.
        rotation: Largest turn to either side, degrees.
        scale: Largest change of size, as a share: factors are in 1 ± scale.
        shift: Largest shift in x and in y, as a share of the side.
        flip: Probability of mirroring.
        generator: On the CPU; torch's own if None.

    Returns:
        (B, 2, 3) float32, on the CPU.
    """
    u = torch.rand(count, 5, generator=generator, dtype=torch.float64)
    return affines(
        side,
        between(u[:, 0], -rotation, rotation),
        between(u[:, 1], 1 - scale, 1 + scale),
        between(u[:, 2:4], -shift, shift),
        chosen(u[:, 4], flip),
    ).float()


def move(points_BK2: Tensor, affine_B23: Tensor) -> Tensor:
    """Landmarks where the changed images have them.

    Args:
        points_BK2: (x, y) px; NaN stays NaN.
        affine_B23: Of each image.

    Returns:
        (B, K, 2) px, of the landmarks' type. Differentiable.
    """
    affine_B123 = affine_B23.to(points_BK2)[:, None]
    # Not a matrix product, which autocast would take to bfloat16: a landmark has fewer than its 8 bits to give away.
    return (points_BK2[:, :, None, :] * affine_B123[..., :2]).sum(-1) + affine_B123[..., 2]


def unchanged(affine_B23: Tensor) -> Tensor:
    """(B,) bool: exactly the identity."""
    return (affine_B23 == torch.eye(2, 3, dtype=affine_B23.dtype)).all(dim=2).all(dim=1)


def inverse(affine_B23: Tensor) -> Tensor:
    """(B, 2, 3) maps from the changed images back. The maps must be invertible: no scale of 0."""
    (a, b, tx), (c, d, ty) = (row.unbind(-1) for row in affine_B23.unbind(-2))
    rows = torch.stack([d, -b, b * ty - d * tx, -c, a, c * tx - a * ty], dim=-1)
    return (rows / (a * d - b * c)[:, None]).view(-1, 2, 3)


def sampling(affine_B23: Tensor, side: int) -> Tensor:
    """(B, 2, 3) maps from pixels (x, y) of the changed images to where ``grid_sample`` reads, on the maps' device.

    Its coordinates put the edges of an image at −1 and 1.
    """
    read_B23 = inverse(affine_B23) * (2 / side)
    read_B23[..., 2] += 1 / side - 1
    return read_B23


def resample(images_BCSS: Tensor, sampling_B23: Tensor, padding: Padding) -> Tensor:
    """``warp`` by maps of ``sampling``."""
    dtype = wide_dtype(images_BCSS)
    pixels_S = torch.arange(images_BCSS.shape[-1], dtype=dtype, device=images_BCSS.device)
    per_x_B21, per_y_B21, start_B21 = sampling_B23.to(images_BCSS.device, dtype).split(1, dim=-1)
    # A plane for x and one for y: sums along rows, which a CPU does many at a time, and grid_sample reads as gladly.
    planes_B2SS = (pixels_S * per_y_B21 + start_B21)[..., None] + (pixels_S * per_x_B21)[:, :, None]
    return F.grid_sample(
        images_BCSS.to(dtype),
        planes_B2SS.permute(0, 2, 3, 1),
        mode="bilinear",
        padding_mode=padding,
        align_corners=False,
    ).to(images_BCSS.dtype)


def warp(images_BCSS: Tensor, affine_B23: Tensor, padding: Padding = "border") -> Tensor:
    """Images under their affine maps, each pixel resampled once (bilinear).

    No low-pass: an image shrunk to less than about 0.8 wants one first (``pipeline.augment.compose`` does it).

    Args:
        images_BCSS: Square, floating point; computed in float32 at least.
        affine_B23: From image to changed image, px; any floating type.
        padding: What lies outside.

    Returns:
        (B, C, S, S), contiguous, of the images' type. Differentiable by images and maps.

    Raises:
        ValueError: Images that are not square.
    """
    if images_BCSS.shape[-1] != images_BCSS.shape[-2]:
        raise ValueError(f"images are {tuple(images_BCSS.shape)}, expected squares")
    wide = at_least_float32(affine_B23)
    return resample(images_BCSS, sampling(wide, images_BCSS.shape[-1]), padding)


def inside(points_BK2: Tensor, side: int, margin: float = 0.0) -> Tensor:
    """(B, K) bool: landmarks that lie on a pixel of the image, or at most ``margin`` px outside; NaN does not."""
    low, high = -0.5 - margin, side - 0.5 + margin
    return ((points_BK2 >= low) & (points_BK2 <= high)).all(dim=-1)


def swap_sides(values_BK: Tensor, flip_B: Tensor, permutation_K: Tensor) -> Tensor:
    """Rename the landmarks of mirrored images: the left eye of a mirrored face is the right one of the original.

    Args:
        values_BK: (B, K, …) per landmark: positions already mirrored, flags.
        flip_B: bool, images that are mirrored.
        permutation_K: ``Markup.flip_permutation``.
    """
    flip = flip_B.to(values_BK.device).view(-1, *[1] * (values_BK.ndim - 1))
    return torch.where(flip, values_BK[:, permutation_K.to(values_BK.device)], values_BK)


@dataclass(frozen=True)
class Geometry:
    """Ranges of the geometric changes. Each part is drawn apart, with a probability of its own.

    Attributes:
        rotation: Largest turn to either side, degrees.
        scale: Largest change of size, as a share.
        translation: Largest shift in x and in y, as a share of the side.
        flip: Probability of mirroring.
        rotation_probability: Of turning at all.
        scale_probability: Of scaling at all.
        translation_probability: Of shifting at all.

    Raises:
        ConfigError: A value that cannot be.
    """

    rotation: float = 0.0
    scale: float = 0.0
    translation: float = 0.0
    flip: float = 0.0
    rotation_probability: float = 1.0
    scale_probability: float = 1.0
    translation_probability: float = 1.0

    columns = 8

    def __post_init__(self) -> None:
        check_number("rotation", self.rotation, 0, 180, "°")
        check_number("scale", self.scale, 0, 0.9)
        check_number("translation", self.translation, 0, 0.5, " of the side")
        for name in ("flip", "rotation_probability", "scale_probability", "translation_probability"):
            check_number(name, getattr(self, name), 0, 1)

    def draw(self, u_BN: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """From ``columns`` uniform numbers an image: maps (B, 2, 3), mirrored (B,) bool, scale factors (B,)."""
        rotation_B = between(u_BN[:, 1], -self.rotation, self.rotation) * chosen(
            u_BN[:, 0], self.rotation_probability
        )
        scale_B = 1 + between(u_BN[:, 3], -self.scale, self.scale) * chosen(
            u_BN[:, 2], self.scale_probability
        )
        shift_B2 = between(u_BN[:, 5:7], -self.translation, self.translation)
        shift_B2 = shift_B2 * chosen(u_BN[:, 4], self.translation_probability)[:, None]
        flip_B = chosen(u_BN[:, 7], self.flip)
        return affines(side, rotation_B, scale_B, shift_B2, flip_B), flip_B, scale_B
