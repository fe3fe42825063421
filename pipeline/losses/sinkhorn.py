"""Entropic optimal transport between heatmaps and narrow targets, with Euclidean ground cost.

Sources: Cuturi, "Sinkhorn Distances", NeurIPS 2013; Yan et al., "2D Wasserstein Loss for Robust Facial
Landmark Detection", Pattern Recognition 2021, eq. 4. For u on the pixels x and v on the cells y of a target,

    OT_ε(u, v) = min_π Σ |x − y| π(x, y) + ε KL(π ‖ u ⊗ v) = max_{f,g} Σ u f + Σ v g,

    f(x) = −ε log Σ_y v(y) exp((g(y) − |x − y|)/ε),

and g likewise. The gradient with respect to u is f (envelope theorem), so nothing is kept of the iterations.

Why this is cheap. The target is a Gaussian: beyond a few σ it has no mass, so the plan is T × hw (T = 49
cells at σ = 1) and not hw × hw. With places relative to the target's central pixel o, every landmark has the
same T cells and the same kernel, and one iteration for all of them is two matrix products.

Why it is stable without a logarithm in each iteration. With c̃(x, y) = |x − y| − |x| the kernel exp(−c̃/ε) is
within e^{±r/ε}, r the radius of the target (triangle inequality; f takes up the |x|). After every
half-iteration g is a soft minimum of functions with slope ≤ 1, so |g(y) − g(o)| ≤ r as well, and no product
leaves e^{±2r/ε}: the scaling form is the log-domain iteration exactly, without overflow, in float32 down to ε
= r/40 and in float64 down to ε = r/300. Levels of the schedule choose their precision by this.

Shapes: N landmarks; S places of x; T cells of y; px throughout.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Landmarks solved at once. Sorted by row, they share a frame little larger than the heatmap, and the work space
# stays within tens of MB whatever the batch.
_CHUNK = 128
_FLOAT32_EXPONENT = 80.0  # e^88 overflows
_FLOAT64_EXPONENT = 600.0  # e^709 overflows


def finest_epsilon(radius: float) -> float:
    """Smallest ε, px, that float64 can hold for targets of this radius, px."""
    return 2.0 * radius / _FLOAT64_EXPONENT


def disc(radius: float, device: torch.device | None = None) -> Tensor:
    """Cells (x, y) within ``radius`` of the origin, offsets_T2 int64; the origin is the middle one."""
    reach = int(radius)
    axis = torch.arange(-reach, reach + 1, device=device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    inside = x.square() + y.square() <= radius**2
    return torch.stack((x[inside], y[inside]), dim=-1)


def schedule(epsilon: float, radius: float) -> list[float]:
    """ε-scaling: halved from the size of the target down to ``epsilon``, at least 4 ε, 2 ε, ε."""
    levels = [4 * epsilon, 2 * epsilon, epsilon]
    while levels[0] < radius:
        levels.insert(0, 2 * levels[0])
    return levels


@torch.no_grad()
def potentials(
    u_NHW: Tensor,
    v_NT: Tensor,
    origin_N2: Tensor,
    offsets_T2: Tensor,
    epsilon: float,
    iterations: int,
    extrapolate: bool = True,
) -> tuple[Tensor, Tensor]:
    """Dual potentials, so that the transport cost of landmark n is Σ u f + offset.

    OT_ε exceeds the cost without entropy by about a ε log(1/ε) + b ε. ``extrapolate`` removes both terms: 4
    OT_ε − 4 OT_2ε + OT_4ε, whose gradient is the same combination of the potentials, at the price of
    converging at 2ε and 4ε too, which the schedule passes anyway.

    Args:
        u_NHW: heatmaps, each summing to 1.
        v_NT: target's mass on each cell, summing to 1; 0 for cells outside the grid, > 0 at the origin.
        origin_N2: central pixel (x, y) of each target, int64.
        offsets_T2: cells relative to it, see :func:`disc`; the middle row is (0, 0).
        epsilon: ε, px; at least :func:`finest_epsilon` of the largest offset.
        iterations: at each of the last three levels of the schedule; earlier ones get half.
        extrapolate: see above; False gives OT_ε itself.

    Returns:
        f_NHW and offset_N, in the type of ``u_NHW``.
    """
    potential_NHW = torch.empty_like(u_NHW)
    offset_N = u_NHW.new_empty(len(u_NHW))
    # bfloat16 products would lose what the logarithm is to find.
    with torch.autocast(u_NHW.device.type, enabled=False):
        for rows in origin_N2[:, 1].argsort().split(_CHUNK):
            potential_NHW[rows], offset_N[rows] = _solve(
                u_NHW[rows], v_NT[rows], origin_N2[rows], offsets_T2, epsilon, iterations, extrapolate
            )
    return potential_NHW, offset_N


def _solve(
    u_NHW: Tensor,
    v_NT: Tensor,
    origin_N2: Tensor,
    offsets_T2: Tensor,
    epsilon: float,
    iterations: int,
    extrapolate: bool,
) -> tuple[Tensor, Tensor]:
    height, width = u_NHW.shape[-2:]
    least_2, most_2 = origin_N2.amin(0).tolist(), origin_N2.amax(0).tolist()
    frame_width = width + most_2[0] - least_2[0]
    # Where each heatmap's pixels lie in the frame of places relative to the origins.
    x_NW = torch.arange(width, device=u_NHW.device) + (most_2[0] - origin_N2[:, :1])
    y_NH = torch.arange(height, device=u_NHW.device) + (most_2[1] - origin_N2[:, 1:])
    place_NP = (y_NH[:, :, None] * frame_width + x_NW[:, None, :]).flatten(1)
    x_S, y_S = _frame(width, height, least_2, most_2, u_NHW.device)
    far_S = torch.hypot(x_S, y_S)
    cost_ST = torch.hypot(x_S[:, None] - offsets_T2[:, 0], y_S[:, None] - offsets_T2[:, 1]) - far_S[:, None]
    u_NS = u_NHW.new_zeros(len(u_NHW), len(far_S)).scatter_(1, place_NP, u_NHW.flatten(1))

    radius = float(offsets_T2.double().norm(dim=-1).max())
    levels = schedule(epsilon, radius)
    weights = {levels[-1]: 1.0}
    if extrapolate:
        weights = {levels[-3]: 1.0, levels[-2]: -4.0, levels[-1]: 4.0}
    g_NT = torch.zeros_like(v_NT)
    total_f_NP = torch.zeros_like(u_NHW).flatten(1)
    total_offset_N = torch.zeros_like(v_NT[:, 0])
    for level in levels:
        wide = u_NHW.dtype == torch.float64 or 2 * radius / level > _FLOAT32_EXPONENT
        dtype = torch.float64 if wide else torch.float32
        count = iterations if level <= levels[-3] else (iterations + 1) // 2
        f_NS, g_NT = _iterate(u_NS.to(dtype), v_NT.to(dtype), g_NT.to(dtype), cost_ST.to(dtype), level, count)
        if level in weights:
            f_NP = (f_NS + far_S.to(dtype)).gather(1, place_NP)
            total_f_NP += (weights[level] * f_NP).to(total_f_NP.dtype)
            total_offset_N += (weights[level] * (v_NT.to(dtype) * g_NT).sum(-1)).to(total_offset_N.dtype)
    return total_f_NP.view(u_NHW.shape), total_offset_N


def _frame(
    width: int, height: int, least_2: list[int], most_2: list[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Places (x, y) relative to an origin, of all pixels under all origins of a chunk, each (S,)."""
    x = torch.arange(-most_2[0], width - least_2[0], dtype=torch.float64, device=device)
    y = torch.arange(-most_2[1], height - least_2[1], dtype=torch.float64, device=device)
    y_S, x_S = torch.meshgrid(y, x, indexing="ij")
    return x_S.flatten(), y_S.flatten()


def _iterate(
    u_NS: Tensor, v_NT: Tensor, g_NT: Tensor, cost_ST: Tensor, epsilon: float, count: int
) -> tuple[Tensor, Tensor]:
    """Sinkhorn from a potential g, ``count`` times; f (with |x| left out) belongs to the g returned."""
    kernel_ST = torch.exp(-cost_ST / epsilon)
    middle = v_NT.shape[1] // 2
    for _ in range(count):
        sums_NS = (v_NT * torch.exp(g_NT / epsilon)) @ kernel_ST.mT
        g_NT = -epsilon * torch.log((u_NS / sums_NS) @ kernel_ST)
        g_NT = g_NT - g_NT[:, middle : middle + 1]
    f_NS = -epsilon * torch.log((v_NT * torch.exp(g_NT / epsilon)) @ kernel_ST.mT)
    return f_NS, g_NT
