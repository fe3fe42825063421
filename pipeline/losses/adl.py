"""Anisotropic direction loss: errors across a contour weigh more than errors along it.

Source: Huang et al., "ADNet: Leveraging Error-Bias Towards Normal Direction in Face Alignment", ICCV 2021,
eqs. 3–6:

    ADL_n = (2λ/(1+λ) |N·e|² + 2/(1+λ) |T·e|²)^{n/2},   e = p − p̂,   T = S N,

and Smooth-ADL₁ = ½ ADL₂ for small errors, ADL₁ − ½ otherwise. λ = 2. Shapes: points and target (B, K, 2), (x,
y) in px.

The paper's eq. 4 has its knee at an error of 1 and names no unit. Default is 1 px; the authors' published code has it
at 0.01 of half the image's side, which is ``knee`` = 1.28 px of 256: ½ ADL₂ / δ below, ADL₁ − ½ δ above. What the loss
then weighs beside others is ``method.unit`` of ADNet.

Resolutions and deviations:

- The normal. Eq. 5 is (previous + next − 2 own), normalised: 0/0 for collinear, evenly spaced neighbours, and
  pointing *along* the curve for collinear uneven ones. The text beside it takes "the slope from its directly
  adjacent points". Default ``normal="chord"`` is that slope: perpendicular to next − previous.
  ``"second_difference"`` is eq. 5, and the chord where eq. 5 is 0.
- Ends of open curves have one neighbour: the chord is one-sided, as in Rayhan et al., BMVC 2020, eq. 5. A
  masked neighbour counts as missing.
- Off all curves, and where no direction exists (coincident neighbours, both missing), the loss is isotropic,
  |e|^n. Eq. 6 taken literally (N = T = e/|e|) gives (2|e|²)^{n/2}, against the text's "degenerates into L_n".
- Eq. 4 switches at |e| < 1, where its two branches differ unless λ = 1: the loss would fall by 0.01 as an
  error grows past 1 px. Default ``threshold="weighted"`` switches at ADL₁ < 1, where value and slope agree;
  ``"euclidean"`` is eq. 4.
- The gradient at zero error is 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.losses.coordinates import CoordinateLoss
from pipeline.losses.curves import check_neighbours, curve_neighbours, second_difference, tangents

if TYPE_CHECKING:  # losses stay importable without the markups' YAML reader
    from pipeline.markup import Markup


def adl_squares(error_BK2: Tensor, normal_BK2: Tensor, lambda_: float = 2.0) -> Tensor:
    """ADL₂ of eq. 3.

    Args:
        error_BK2: p − p̂, px.
        normal_BK2: unit normals; 0 where the loss is isotropic.
        lambda_: λ, how much more the normal counts.

    Returns:
        squares_BK, px².
    """
    squares_BK = error_BK2.square().sum(-1)
    across_BK = (error_BK2 * normal_BK2).sum(-1).square()
    # |T·e|² = |e|² − |N·e|², written out: the difference would lose digits where the two are alike.
    along_BK = (error_BK2[..., 0] * normal_BK2[..., 1] - error_BK2[..., 1] * normal_BK2[..., 0]).square()
    weighted_BK = (2 * lambda_ * across_BK + 2 * along_BK) / (1 + lambda_)
    return torch.where(normal_BK2.ne(0).any(-1), weighted_BK, squares_BK)


def adl(error_BK2: Tensor, normal_BK2: Tensor, lambda_: float = 2.0) -> Tensor:
    """ADL₁ of eq. 3, distance_BK in px; its gradient at 0 is 0."""
    return _root(adl_squares(error_BK2, normal_BK2, lambda_))


def smooth_adl(
    error_BK2: Tensor,
    normal_BK2: Tensor,
    lambda_: float = 2.0,
    threshold: Literal["weighted", "euclidean"] = "weighted",
    knee: float = 1.0,
) -> Tensor:
    """Smooth-ADL₁ of eq. 4, loss_BK in px; see the module for ``threshold`` and for ``knee``, δ in px."""
    squares_BK = adl_squares(error_BK2, normal_BK2, lambda_)
    switch_BK = squares_BK if threshold == "weighted" else error_BK2.square().sum(-1)
    return torch.where(switch_BK < knee**2, 0.5 / knee * squares_BK, _root(squares_BK) - 0.5 * knee)


def _root(squares: Tensor) -> Tensor:
    """Square root with gradient 0, not ∞, at 0."""
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1.0).sqrt(), 0.0)


class ADL(CoordinateLoss):
    """Smooth-ADL₁ (eq. 4), ADL₁ or ADL₂ (eq. 3).

    Args:
        neighbours: (K, 2) integers, see :mod:`pipeline.losses.curves`; :meth:`from_markup` finds them.
        lambda_: λ ≥ 0; 1 is isotropic, the paper sweeps 0.5 … 8.
        kind: ``smooth`` (the paper's), or eq. 3 with n = 1 or 2.
        normal: see the module.
        threshold: see the module; of ``smooth`` only.
        knee: δ > 0, px; of ``smooth`` only.

    Raises:
        ConfigError: λ is negative or not finite, or δ is not positive.
    """

    neighbours: Tensor

    def __init__(
        self,
        neighbours: Tensor,
        lambda_: float = 2.0,
        kind: Literal["smooth", "n1", "n2"] = "smooth",
        normal: Literal["chord", "second_difference"] = "chord",
        threshold: Literal["weighted", "euclidean"] = "weighted",
        knee: float = 1.0,
    ) -> None:
        super().__init__()
        if not (math.isfinite(knee) and knee > 0.0):
            raise ConfigError(f"ADL: knee is {knee}; it must be a positive number of px")
        if not (math.isfinite(lambda_) and lambda_ >= 0.0):
            raise ConfigError(f"ADL: lambda_ is {lambda_}; it must be 0 or more")
        for name, value, known in (
            ("kind", kind, ("smooth", "n1", "n2")),
            ("normal", normal, ("chord", "second_difference")),
            ("threshold", threshold, ("weighted", "euclidean")),
        ):
            if value not in known:
                raise ConfigError(f"ADL: {name} is {value!r}; it is one of {', '.join(known)}")
        self.register_buffer("neighbours", check_neighbours(neighbours, "ADL"), persistent=False)
        self.lambda_, self.knee = lambda_, knee
        self.kind = kind
        self.normal = normal
        self.threshold: Literal["weighted", "euclidean"] = threshold

    @classmethod
    def from_markup(
        cls,
        markup: Markup,
        lambda_: float = 2.0,
        kind: Literal["smooth", "n1", "n2"] = "smooth",
        normal: Literal["chord", "second_difference"] = "chord",
        threshold: Literal["weighted", "euclidean"] = "weighted",
        knee: float = 1.0,
    ) -> ADL:
        """The loss for a markup's curves."""
        return cls(curve_neighbours(markup), lambda_, kind, normal, threshold, knee)

    def normals(self, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Unit normals of true shapes, normals_BK2; 0 where the loss is isotropic. No gradient flows to them."""
        target_BK2 = target_BK2.detach()
        tangent_BK2 = tangents(target_BK2, self.neighbours, mask_BK)
        chord_BK2 = torch.stack((tangent_BK2[..., 1], -tangent_BK2[..., 0]), dim=-1)
        if self.normal == "chord":
            return chord_BK2
        bend_BK2 = second_difference(target_BK2, self.neighbours, mask_BK)
        return torch.where(bend_BK2.ne(0).any(-1, keepdim=True), bend_BK2, chord_BK2)

    def per_landmark(self, points_BK2: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """(B, K); px², for ``n1`` px, for ``smooth`` both."""
        error_BK2 = points_BK2 - target_BK2
        normal_BK2 = self.normals(target_BK2, mask_BK)
        if self.kind == "n2":
            return adl_squares(error_BK2, normal_BK2, self.lambda_)
        if self.kind == "n1":
            return adl(error_BK2, normal_BK2, self.lambda_)
        return smooth_adl(error_BK2, normal_BK2, self.lambda_, self.threshold, self.knee)


LOSS = ADL
