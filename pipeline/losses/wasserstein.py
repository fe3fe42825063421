"""2-D Wasserstein loss: how far the mass of the heatmap must be carried to become the Gaussian around the landmark.

Source: Yan et al., "2D Wasserstein Loss for Robust Facial Landmark Detection", Pattern Recognition 2021, eq.
4, by Sinkhorn iteration (:mod:`pipeline.losses.sinkhorn`):

    L_W(u, v) = min_π Σ |x − y|₂ π(x, y),   u the softmax of the network's output, v = Gaussian(s, σ).

Shapes: p (B, K, h, w); s (B, K, 2), (x, y) in px; loss (B, K), px. Unlike divergences it grows with the
distance and so has a gradient wherever the mass lies.

Deviations:

- v is cut off at 3.5 σ + ½ px around the pixel nearest to the landmark and renormalised: 0.2 % of its mass.
- The entropy's bias, which at an ε fit for training is a tenth of the loss and more, is extrapolated away:
  the value is the unregularised cost to about 1 %. Close to v it may fall below 0 by about ε/5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.base import HeatmapLoss
from pipeline.losses.sinkhorn import disc, finest_epsilon, potentials


def support_radius(sigma: float) -> float:
    """Radius, px, of the disc of pixels that stands for Gaussian(s, σ); ½ px is for s between pixels."""
    return 3.5 * sigma + 0.5


def target_window(target_BK2: Tensor, size: tuple[int, int], sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussian(s, σ) on the disc around the pixel nearest to s.

    Args:
        target_BK2: landmarks s, px; may lie outside the grid.
        size: (h, w) of the grid.
        sigma: σ, px.

    Returns:
        v_BKT, summing to 1, 0 outside the grid; origin_BK2, int64; offsets_T2, int64.
    """
    height, width = size
    offsets_T2 = disc(support_radius(sigma), target_BK2.device)
    last_2 = torch.tensor([width - 1, height - 1], device=target_BK2.device)
    origin_BK2 = target_BK2.round().clamp(min=0).minimum(last_2.to(target_BK2.dtype)).long()
    cells_BKT2 = origin_BK2[..., None, :] + offsets_T2
    inside_BKT = ((cells_BKT2 >= 0) & (cells_BKT2 <= last_2)).all(-1)
    x_BKT, y_BKT = cells_BKT2.clamp(min=0).minimum(last_2).unbind(-1)
    drawn_BKP = gaussian_heatmaps(target_BK2, size, sigma).flatten(2)
    v_BKT = drawn_BKP.gather(2, y_BKT * width + x_BKT) * inside_BKT
    return v_BKT / v_BKT.sum(-1, keepdim=True), origin_BK2, offsets_T2


def wasserstein(
    p_BKHW: Tensor,
    target_BK2: Tensor,
    sigma: float = 1.0,
    epsilon: float = 0.04,
    iterations: int = 30,
    extrapolate: bool = True,
) -> Tensor:
    """W₁ between each heatmap and Gaussian(s, σ).

    Args:
        p_BKHW: heatmaps ≥ 0, normalised here.
        target_BK2: landmarks s, px. No gradient flows to them.
        sigma: σ, px.
        epsilon: ε of the entropy, px.
        iterations: Sinkhorn iterations at ε, 2ε and 4ε each.
        extrapolate: remove the entropy's bias; False gives OT_ε as it is.

    Returns:
        distance_BK, px. Its gradient is that of the converged value; differentiable once.

    Example:
        >>> p = torch.zeros(1, 1, 32, 32)
        >>> p[0, 0, 5, 20] = 1.0
        >>> wasserstein(p, torch.tensor([[[10.0, 5.0]]])).round().tolist()
        [[10.0]]
    """
    u_BKHW = p_BKHW / p_BKHW.sum((-2, -1), keepdim=True)
    # The masses of the target are those of its own type: a float32 loss is not to depend on float64 targets.
    v_BKT, origin_BK2, offsets_T2 = target_window(
        target_BK2.detach().to(u_BKHW.dtype), (p_BKHW.shape[-2], p_BKHW.shape[-1]), sigma
    )
    f_NHW, offset_N = potentials(
        u_BKHW.detach().flatten(0, 1),
        v_BKT.flatten(0, 1),
        origin_BK2.flatten(0, 1),
        offsets_T2,
        epsilon,
        iterations,
        extrapolate,
    )
    # Linear in u with f held: the value is the dual's, the gradient f.
    return (u_BKHW * f_NHW.view_as(u_BKHW)).sum((-2, -1)) + offset_N.view(u_BKHW.shape[:2])


class Wasserstein(HeatmapLoss):
    """Eq. 4.

    Args:
        true_scale: σ, px, of the true heatmap (the paper: 1, 1.5, 3).
        epsilon: ε of the entropy, px. 0.04 is within 1 % of an exact cost of 1 px; larger is faster, and blurs the
            gradient over as many pixels.
        iterations: Sinkhorn iterations at each of the last three levels.
        beta: β of the spatial softmax.

    Raises:
        ConfigError: ε or the iterations are no positive number, or ε is too small for σ.
    """

    def __init__(
        self, true_scale: float = 1.0, epsilon: float = 0.04, iterations: int = 30, beta: float = 1.0
    ) -> None:
        super().__init__(true_scale, beta)
        least = finest_epsilon(support_radius(true_scale))
        if not (math.isfinite(epsilon) and epsilon >= least):
            raise ConfigError(
                f"Wasserstein: epsilon is {epsilon}; at true_scale {true_scale:g} it must be {least:.3g} px or more"
            )
        if iterations < 1:
            raise ConfigError(f"Wasserstein: iterations is {iterations}; it must be 1 or more")
        self.epsilon = epsilon
        self.iterations = iterations

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Distance of each landmark, (B, K), px."""
        return wasserstein(p_BKHW, target_BK2, self.true_scale, self.epsilon, self.iterations)

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Gaussian(s, σ) on the pixel grid, p_BKHW."""
        return gaussian_heatmaps(target_BK2, size, self.true_scale, mask_BK)


LOSS = Wasserstein
