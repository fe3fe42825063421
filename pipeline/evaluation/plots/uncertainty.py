"""Charts of predicted uncertainty: spread against error (Kumar et al., ICCVW 2019, figure 3), and calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluation.metrics.uncertainty import calibration_curve, coverage, pearson
from pipeline.evaluation.plots.canvas import LINE, canvas, label_axes, legend_above, printable, shortened
from pipeline.evaluation.plots.palette import LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 4000  # dots per panel: more are one blot, and a larger file
_BINS = 10


def spread_figure(
    points: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    of: str = "landmark",
    theme: Theme = LIGHT,
) -> Figure:
    """Error against spread: one panel per run, on one scale, the means of ten equally filled bins over the dots.

    Axes end where 1 % of the points lie beyond; every point counts in r and in the bins.

    Args:
        points: Run name → spread and error, ratios of the face's size, of one shape; those not finite are left
            out.
        of: What a point is, for the labels.
        theme: Colours.

    Raises:
        ValueError: No run has a point.
    """
    finite = {name: _finite(*pair) for name, pair in points.items()}
    everything = np.concatenate(
        [pair for pair in finite.values() if pair.shape[1]] or [np.empty((2, 0))], axis=1
    )
    if not everything.shape[1]:
        raise ValueError("no landmark has a spread and an error: there is nothing to draw")
    right, top = (max(1.05 * float(np.percentile(values, 99)), 1e-6) for values in everything)
    columns = min(2, len(points)) if len(points) <= 4 else 3
    rows = -(-len(points) // columns)
    figure, axes = canvas(
        6.4 if columns < 3 else 11.1, 4.0 if rows == 1 else 3.6 * rows, theme, columns, rows
    )
    for index, (axis, (name, (x, y))) in enumerate(zip(axes, finite.items(), strict=False)):
        colour = theme.run(index)[0]
        # Every n-th point, not the first ones: sets are sorted by source.
        step = slice(None, None, -(-len(x) // _SHOWN) or 1)
        opacity = float(np.clip(300 / max(len(x[step]), 1), 0.12, 0.7))
        axis.scatter(x[step], y[step], s=9, color=colour, alpha=opacity, linewidths=0, rasterized=True)
        line = np.array([0.0, right])
        axis.plot(line, math.sqrt(math.pi / 2) * line, color=theme.ink, linestyle=":", linewidth=1.3)
        bins_M2 = binned_means(x, y)
        axis.plot(*bins_M2.T, color=theme.ink, marker="o", markersize=4.5, linewidth=1.6, zorder=3)
        axis.set_xlim(0, right)
        axis.set_ylim(0, top)
        correlation = pearson(x, y)
        number = "r undefined" if math.isnan(correlation) else f"r = {correlation:.2f}"
        label_axes(axis, theme, x=f"spread of a {of}, %", y="error, %", title=f"{shortened(name)}: {number}")
    for axis in axes[len(points) :]:
        axis.set_visible(False)
    return figure


def binned_means(spread: np.ndarray, error: np.ndarray, bins: int = _BINS) -> np.ndarray:
    """Mean spread and mean error of bins of equally many points, by rising spread.

    Args:
        spread: (M,) finite.
        error: (M,) finite.
        bins: At most so many; fewer where there are fewer points.

    Returns:
        (bins, 2) float64.
    """
    order = np.argsort(spread, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return np.array([(spread[part].mean(), error[part].mean()) for part in parts]).reshape(-1, 2)


def calibration_figure(squared: Mapping[str, np.ndarray], *, theme: Theme = LIGHT) -> Figure:
    """Share of true landmarks within each error ellipse against the share that ought to be.

    Args:
        squared: Run name → squared Mahalanobis distances, NaN where masked.
        theme: Colours.

    Raises:
        ValueError: A run has no counted landmark.
    """
    figure, (axis,) = canvas(6.4, 4.0 + LINE * (1 + len(squared)), theme)
    axis.plot([0, 100], [0, 100], color=theme.ink, linestyle=":", linewidth=1.3, label="calibrated")
    for index, (name, values) in enumerate(squared.items()):
        levels, shares = calibration_curve(values)
        colour, style = theme.run(index)
        half, most = (100 * coverage(values, level) for level in (0.5, 0.9))
        label = f"{printable(name)}  ({half:.0f} in 50, {most:.0f} in 90)"
        axis.plot(100 * levels, 100 * shares, color=colour, linestyle=style, linewidth=2, label=label)
    axis.set_xlim(0, 100)
    axis.set_ylim(0, 100)
    label_axes(axis, theme, x="landmarks that ought to lie in the ellipse, %", y="landmarks that do, %")
    legend_above(axis, theme)
    return figure


def _finite(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    pair = np.stack([100.0 * np.ravel(first), 100.0 * np.ravel(second)])
    return pair[:, np.isfinite(pair).all(axis=0)]
