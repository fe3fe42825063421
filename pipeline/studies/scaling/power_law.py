"""A power law that passes the supervised error and saturates, fitted to a handful of points.

    err(N) = e_inf + (e_0 − e_inf) · (1 + N / n_0)^(−α)

with e_0 the error without unlabelled faces, e_inf what is left with infinitely many, n_0 the number at which they begin
to tell, and α how fast. Learning curves of neural networks follow such laws over decades of training-set size (Hestness
et al. 2017, "Deep Learning Scaling is Predictable, Empirically"; Rosenfeld et al., ICLR 2020, with both ends
saturating); the offset 1 lets it start at N = 0. Curves may also rise: unlabelled faces can do harm.

Given (n_0, α) the law is linear in e_0 and e_inf, so these two are solved for and only the others searched (variable
projection: Golub and Pereyra 1973): no starting values, no local minima.

Few sizes cannot carry four parameters: with M distinct N, M ≥ 5 fits all, M = 4 fixes α, M = 3 fixes n_0 too; fewer are
refused by the callers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FIXED_ALPHA = 0.5
"""α where it cannot be fitted: the rate at which a mean's error falls with its sample."""

_ALPHAS = np.geomspace(0.1, 3.0, 16)
_SCALES = 48


@dataclass(frozen=True)
class Law:
    """The parameters.

    Attributes:
        e_0: Error at N = 0, %.
        e_inf: Error for N → ∞, %; at least 0.
        n_0: Number of faces.
        alpha: Exponent.
    """

    e_0: float
    e_inf: float
    n_0: float
    alpha: float

    def __call__(self, counts: np.ndarray | float) -> np.ndarray:
        """Error at some numbers of unlabelled faces, %."""
        left = (1 + np.asarray(counts, dtype=np.float64) / self.n_0) ** -self.alpha
        return np.asarray(self.e_inf + (self.e_0 - self.e_inf) * left)

    def count_for(self, error: float) -> float:
        """Number of unlabelled faces at which the law reaches an error; infinite where it never does."""
        if self.e_0 == self.e_inf:
            return 0.0 if error == self.e_0 else float("inf")
        left = (error - self.e_inf) / (self.e_0 - self.e_inf)
        if left >= 1:
            return 0.0
        return float(self.n_0 * (left ** (-1 / self.alpha) - 1)) if left > 0 else float("inf")


def fixed_parameters(sizes: int) -> tuple[str, ...]:
    """Names of the parameters that so many distinct N leave no room for.

    Raises:
        ValueError: Fewer than three, which no saturating law can be fitted to.
    """
    if sizes < 3:
        raise ValueError(
            f"{sizes} distinct numbers of unlabelled faces; a saturating law needs 3, 0 among them"
        )
    return {3: ("alpha", "n_0"), 4: ("alpha",)}.get(sizes, ())


def _shapes(counts: np.ndarray, fixed: tuple[str, ...]) -> np.ndarray:
    """(shapes, 2) candidates for n_0 and α."""
    positive = counts[counts > 0]
    scales = np.geomspace(positive.min() / 30, positive.max() * 10, _SCALES)
    if "n_0" in fixed:
        scales = positive.min(keepdims=True)
    alphas = np.array([FIXED_ALPHA]) if "alpha" in fixed else _ALPHAS
    return np.stack(np.meshgrid(scales, alphas, indexing="ij"), axis=-1).reshape(-1, 2)


def _solve(
    shapes_H2: np.ndarray, counts_M: np.ndarray, errors_BM: np.ndarray, weights_M: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best e_0, e_inf and their weighted sum of squares, each (B, H), with 0 ≤ e_inf."""
    weights = weights_M / weights_M.sum()
    left_HM = (1 + counts_M / shapes_H2[:, :1]) ** -shapes_H2[:, 1:]
    centre_H = left_HM @ weights
    across_HM = (left_HM - centre_H[:, None]) * weights
    spread_H = (across_HM * left_HM).sum(axis=1)
    slope_BH = errors_BM @ across_HM.T / np.maximum(spread_H, 1e-300)
    e_inf_BH = (errors_BM @ weights)[:, None] - slope_BH * centre_H
    # On the boundary e_inf = 0 the law is e_0 · left alone.
    outside = e_inf_BH < 0
    alone_BH = errors_BM @ (left_HM * weights).T / ((left_HM**2) @ weights)
    slope_BH = np.where(outside, alone_BH, slope_BH)
    e_inf_BH = np.where(outside, 0.0, e_inf_BH)
    residual_BHM = errors_BM[:, None] - e_inf_BH[..., None] - slope_BH[..., None] * left_HM
    return e_inf_BH + slope_BH, e_inf_BH, (residual_BHM**2) @ weights_M


def fit_laws(counts_M: np.ndarray, errors_BM: np.ndarray, weights_M: np.ndarray) -> list[Law]:
    """Fit many curves at once, to the resolution of a grid over the shape: for replicates.

    Args:
        counts_M: Distinct numbers of unlabelled faces, 0 among them.
        errors_BM: (curves, M) mean errors, %.
        weights_M: Inverse variances up to a factor, e.g. numbers of seeds.

    Raises:
        ValueError: Fewer than three N.
    """
    shapes = _shapes(counts_M, fixed_parameters(len(counts_M)))
    laws = []
    for block in np.array_split(errors_BM, max(1, len(errors_BM) // 50)):  # bounds the memory
        e_0, e_inf, squares = _solve(shapes, counts_M, block, weights_M)
        best = squares.argmin(axis=1)
        rows = np.arange(len(block))
        laws += [
            Law(float(a), float(b), float(n), float(alpha))
            for a, b, (n, alpha) in zip(e_0[rows, best], e_inf[rows, best], shapes[best], strict=True)
        ]
    return laws


def fit_law(counts_M: np.ndarray, errors_M: np.ndarray, weights_M: np.ndarray) -> tuple[Law, float]:
    """Fit one curve: the grid's best, then polished.

    Args:
        counts_M: As for ``fit_laws``.
        errors_M: (M,) mean errors, %.
        weights_M: As for ``fit_laws``.

    Returns:
        The law and its weighted sum of squares.
    """
    from scipy import optimize

    fixed = fixed_parameters(len(counts_M))
    law = fit_laws(counts_M, errors_M[None], weights_M)[0]
    free = [i for i, name in enumerate(("n_0", "alpha")) if name not in fixed]
    start = np.log([law.n_0, law.alpha])
    positive = counts_M[counts_M > 0]
    bounds = np.log([[positive.min() / 30, _ALPHAS[0]], [positive.max() * 10, _ALPHAS[-1]]])

    def solved(values: np.ndarray) -> tuple[Law, float]:
        shape = start.copy()
        shape[free] = values
        shape = np.exp(shape)
        e_0, e_inf, squares = _solve(shape[None], counts_M, errors_M[None], weights_M)
        return Law(e_0.item(), e_inf.item(), float(shape[0]), float(shape[1])), squares.item()

    def residuals(values: np.ndarray) -> np.ndarray:
        return np.asarray((solved(values)[0](counts_M) - errors_M) * np.sqrt(weights_M))

    if not free:
        return solved(np.empty(0))
    inside = np.clip(start[free], bounds[0][free] + 1e-9, bounds[1][free] - 1e-9)
    found = optimize.least_squares(
        residuals, inside, bounds=bounds[:, free], xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    return min(solved(start[free]), solved(found.x), key=lambda pair: pair[1])
