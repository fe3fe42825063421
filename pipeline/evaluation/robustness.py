"""Test images made harder: a black ellipse over the face, or motion blur, at two strengths each (Yan et al., section 4).

Yan et al., "2D Wasserstein loss for robust facial landmark detection", Pattern Recognition 2021: "a black ellipse of random size
is superposed on each image at random positions"; for motion blur "the blurring direction is based on the movement of the nose tip
between the frame t − 1 and t + 1"; "two protocols for both perturbations: large and medium, illustrated in Fig. 3". The figure
is all that is said of the strengths: ``SIZES`` and ``LENGTHS`` are ours, so that numbers compare with each other, not with tables
8 and 9. A still has a random direction.

What is random is so by the face's key: every model sees the same image, and the larger perturbation is the medium one grown.

Beside them the noise of a face's box, as ADNet and others have it: the crop shifted and scaled by up to a share of its side.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pipeline.augment.geometry import warp
from pipeline.evaluation.perturbation import Perturbation

SIZES = {"medium": (0.15, 0.35), "large": (0.3, 0.6)}
"""Smallest and largest width and height of the ellipse, drawn apart, as shares of the crop's side."""

LENGTHS = {"medium": 0.1, "large": 0.2}
"""How far a point moves during the exposure, as a share of the crop's side."""


def perturb(
    images_BSS3: np.ndarray, keys: Sequence[str], perturbation: Perturbation, direction_B: np.ndarray
) -> np.ndarray:
    """Perturb images.

    Args:
        images_BSS3: uint8 crops.
        keys: Of the faces.
        perturbation: Which.
        direction_B: Of motion, radians from x to y; NaN where nothing is known of it: a random one.

    Returns:
        (B, S, S, 3) uint8.
    """
    kind, strength = perturbation.split("-")
    if kind == "occlusion":
        return _occluded(images_BSS3, keys, SIZES[strength])
    drawn_B = np.array([np.pi * _uniform(key, kind, 1)[0] for key in keys])
    angle_B = np.where(np.isfinite(direction_B), direction_B, drawn_B)
    return motion_blur(images_BSS3, angle_B, LENGTHS[strength] * images_BSS3.shape[1])


def _occluded(images_BSS3: np.ndarray, keys: Sequence[str], sizes: tuple[float, float]) -> np.ndarray:
    side = images_BSS3.shape[1]
    y_SS, x_SS = np.mgrid[:side, :side] + 0.5
    changed = images_BSS3.copy()
    for image, key in zip(changed, keys, strict=True):
        u = _uniform(key, "occlusion", 4)
        centre_x, centre_y = u[:2] * side
        half_x, half_y = (sizes[0] + (sizes[1] - sizes[0]) * u[2:]) * side / 2
        image[((x_SS - centre_x) / half_x) ** 2 + ((y_SS - centre_y) / half_y) ** 2 <= 1] = 0
    return changed


def motion_blur(images_BSS3: np.ndarray, angle_B: np.ndarray, length: float) -> np.ndarray:
    """The mean of an image's copies on its way: half the length before and behind where it is, in steps of a pixel at most.

    Args:
        images_BSS3: uint8; outside of an image its border is repeated.
        angle_B: Radians from x to y.
        length: px.
    """
    images_B3SS = torch.from_numpy(images_BSS3).permute(0, 3, 1, 2).float()
    shift_B2 = torch.from_numpy(np.stack([np.cos(angle_B), np.sin(angle_B)], axis=-1))
    total_B3SS = torch.zeros_like(images_B3SS)
    places = np.linspace(-length / 2, length / 2, math.ceil(length) + 1)
    for place in places:
        total_B3SS += warp(images_B3SS, _moved(shift_B2 * place, torch.ones(len(shift_B2)), 0))
    return _bytes(total_B3SS / len(places))


def box_noise(keys: Sequence[str], share: float) -> tuple[np.ndarray, np.ndarray]:
    """Shifts (B, 2), as shares of a box's side, and scale factors (B,), each uniform within ± ``share``, by the faces' keys."""
    u_B3 = np.array([2 * _uniform(key, "box", 3) - 1 for key in keys]).reshape(-1, 3)
    return share * u_B3[:, :2], 1 + share * u_B3[:, 2]


def recropped(images_BSS3: np.ndarray, shift_B2: np.ndarray, factor_B: np.ndarray) -> np.ndarray:
    """What crops show whose boxes lie elsewhere; beyond a stored crop's edge its border is repeated.

    Args:
        images_BSS3: uint8 crops.
        shift_B2: Of the box's centre, as shares of its side.
        factor_B: New side over old.
    """
    side = images_BSS3.shape[1]
    images_B3SS = torch.from_numpy(images_BSS3).permute(0, 3, 1, 2).float()
    scale_B = torch.from_numpy(1 / factor_B)
    moved_B2 = -torch.from_numpy(shift_B2) * side * scale_B[:, None]
    return _bytes(warp(images_B3SS, _moved(moved_B2, scale_B, (side - 1) / 2)))


def _moved(shift_B2: Tensor, scale_B: Tensor, centre: float) -> Tensor:
    """(B, 2, 3) maps that scale about (centre, centre) and shift by px."""
    linear_B22 = torch.eye(2, dtype=torch.float64) * scale_B.double()[:, None, None]
    offset_B2 = shift_B2.double() + centre * (1 - scale_B.double())[:, None]
    return torch.cat([linear_B22, offset_B2[:, :, None]], dim=-1)


def _bytes(images_B3SS: Tensor) -> np.ndarray:
    return images_B3SS.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def _uniform(key: str, purpose: str, count: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(f"{purpose}/{key}".encode()).digest()[:8], "big")
    return np.random.default_rng(seed).uniform(size=count)
