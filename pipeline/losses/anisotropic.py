"""Anisotropic Mahalanobis loss: errors along a contour cost less than errors across it.

Source: Rayhan et al., "Not all points are created equal - an anisotropic cost function for facial landmark
location", BMVC 2020, eqs. 2 and 4–6:

    Q₂ = Σ (x − z)ᵀ W (x − z),   W = t tᵀ / a² + (I − t tᵀ) / b²,

with t the unit tangent of the true shape (central difference, one-sided at the ends of open curves), a = 5
along it, b = 3 across, and W = I at corners. Shapes: points and target (B, K, 2), (x, y) in px; W (B, K, 2,
2), px⁻² up to the unit of a and b.

Resolutions:

- The sum over landmarks is a mean, as in every loss here.
- Which landmarks are corners is the paper's choice by eye and not listed; the default is
  :func:`pipeline.losses.curves.corner_landmarks`, ``corners`` replaces it.
- Landmarks off all curves get W = I too: the paper has none. So do those whose tangent does not exist
  (coincident or masked neighbours). Note W = I weighs 9 to 25 times as much as the other points' W;
  ``isotropic`` (a variance, px²) divides it.
- W follows from the true shape alone; :func:`weight_matrices` can be called once per shape and its result
  passed to :func:`mahalanobis`. In the step it costs a gather over K points.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.losses.coordinates import CoordinateLoss
from pipeline.losses.curves import check_neighbours, corner_landmarks, curve_neighbours, tangents

if TYPE_CHECKING:  # losses stay importable without the markups' YAML reader
    from pipeline.markup import Markup


def weight_matrices(tangents_BK2: Tensor, a: float = 5.0, b: float = 3.0, isotropic: float = 1.0) -> Tensor:
    """W of eq. 6; I / ``isotropic`` where the tangent is 0.

    Args:
        tangents_BK2: unit vectors, or 0 where there is none.
        a: standard deviation along the curve, px.
        b: standard deviation across it, px.
        isotropic: variance, px², of landmarks without a tangent.

    Returns:
        weights_BK22, symmetric, px⁻².
    """
    along_BK22 = tangents_BK2[..., :, None] * tangents_BK2[..., None, :]
    identity = torch.eye(2, dtype=tangents_BK2.dtype, device=tangents_BK2.device)
    weights_BK22 = along_BK22 / a**2 + (identity - along_BK22) / b**2
    directed_BK11 = tangents_BK2.ne(0).any(-1)[..., None, None]
    return torch.where(directed_BK11, weights_BK22, identity / isotropic)


def mahalanobis(points_BK2: Tensor, target_BK2: Tensor, weights_BK22: Tensor) -> Tensor:
    """Eq. 2 for each landmark: (x − z)ᵀ W (x − z), distance_BK, no unit.

    Args:
        points_BK2: x, px.
        target_BK2: z, px.
        weights_BK22: W, px⁻².
    """
    error_BK2 = points_BK2 - target_BK2
    return (error_BK2 * (weights_BK22 @ error_BK2[..., None]).squeeze(-1)).sum(-1)


class Anisotropic(CoordinateLoss):
    """Eqs. 2 and 4–6.

    Args:
        neighbours: (K, 2) integers, see :mod:`pipeline.losses.curves`; :meth:`from_markup` finds them.
        corners: landmarks with W = I.
        a: standard deviation along the curve, px.
        b: standard deviation across it, px; the paper has a > b.
        isotropic: variance, px², of corners and of landmarks off all curves.

    Raises:
        ConfigError: a, b or ``isotropic`` is not a positive number, or a corner is no landmark.
    """

    neighbours: Tensor
    is_corner: Tensor

    def __init__(
        self,
        neighbours: Tensor,
        corners: tuple[int, ...] = (),
        a: float = 5.0,
        b: float = 3.0,
        isotropic: float = 1.0,
    ) -> None:
        super().__init__()
        for name, value in (("a", a), ("b", b), ("isotropic", isotropic)):
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"Anisotropic: {name} is {value}; it must be a positive number")
        neighbours = check_neighbours(neighbours, "Anisotropic")
        if any(not 0 <= corner < len(neighbours) for corner in corners):
            raise ConfigError(
                f"Anisotropic: corners {corners} are not all landmarks 0 … {len(neighbours) - 1}"
            )
        is_corner = torch.zeros(len(neighbours), dtype=torch.bool)
        is_corner[list(corners)] = True
        self.register_buffer("neighbours", neighbours, persistent=False)
        self.register_buffer("is_corner", is_corner, persistent=False)
        self.a = a
        self.b = b
        self.isotropic = isotropic

    @classmethod
    def from_markup(
        cls,
        markup: Markup,
        corners: tuple[int, ...] | None = None,
        a: float = 5.0,
        b: float = 3.0,
        isotropic: float = 1.0,
    ) -> Anisotropic:
        """The loss for a markup's curves; ``corners`` None takes the markup's corner landmarks."""
        if corners is None:
            corners = corner_landmarks(markup)
        return cls(curve_neighbours(markup), corners, a, b, isotropic)

    def weights(self, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """W of eq. 6 for true shapes, weights_BK22; no gradient flows to them."""
        tangents_BK2 = tangents(target_BK2.detach(), self.neighbours, mask_BK)
        tangents_BK2 = torch.where(self.is_corner[:, None], 0.0, tangents_BK2)
        return weight_matrices(tangents_BK2, self.a, self.b, self.isotropic)

    def per_landmark(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Q₂ of each landmark, (B, K)."""
        return mahalanobis(points_BK2, target_BK2, self.weights(target_BK2, mask_BK))


LOSS = Anisotropic
