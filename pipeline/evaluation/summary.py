"""The numbers of an evaluation, as typed records: percentages and pixels, ready for JSON.

``metrics/`` computes ratios; the one conversion to per cent is here. None stands for "undefined" (a markup
without eye corners, a model without heatmaps), since JSON has no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import Field

from pipeline.evaluation.metrics.failure import THRESHOLDS_PERCENT, auc, failure_rate, landmark_failure_rate
from pipeline.evaluation.metrics.nme import mean_nme, nme_per_face
from pipeline.evaluation.metrics.per_landmark import (
    count_per_landmark,
    curve_groups,
    mean_per_curve,
    mean_per_landmark,
)
from pipeline.evaluation.metrics.scatter import in_original, mean_scatter, scatter_per_landmark
from pipeline.markup import Markup
from pipeline.strict import Finite


def defined(value: float) -> float | None:
    """None for NaN."""
    return None if math.isnan(value) else float(value)


def percent(ratio: float) -> float | None:
    """A ratio as a percentage; None for NaN."""
    return defined(100.0 * ratio)


def _defined_list(values: Iterable[float]) -> list[float | None]:
    return [defined(float(value)) for value in values]


class ErrorSummary(Finite):
    """Errors under one normalisation. All values are per cent."""

    nme: float | None = Field(description="mean over defined faces of the face's NME, %")
    nme_median: float | None = Field(description="median over defined faces, %")
    nme_std: float | None = Field(description="standard deviation over defined faces (population), %")
    failure_rate: dict[str, float | None] = Field(
        description="threshold in % → share of faces with NME strictly above, %"
    )
    auc: dict[str, float | None] = Field(
        description="threshold in % → exact area under the CED / threshold, %"
    )
    landmark_failure_rate: dict[str, float | None] = Field(
        description="threshold in % → FR^L of Yan et al. 2021, %"
    )
    faces: int = Field(ge=0, description="faces with a defined NME: what the numbers above are over")
    undefined: int = Field(ge=0, description="faces left out: size undefined or zero, or no landmark counts")


class ScatterSummary(Finite):
    """Spread of the heatmaps, px, over counted landmarks."""

    grid_px: float | None = Field(description="mean, px of the network's input grid")
    original_px: float | None = Field(description="mean, px of the original images")
    per_landmark_grid_px: list[float | None]


class CurveError(Finite):
    """Mean error of one curve's landmarks."""

    landmarks: list[int]
    percent: float | None = Field(description="under the protocol's normalisation, %")
    px: float | None = Field(description="original images, px")


class LandmarkErrors(Finite):
    """Mean error of each landmark and each curve."""

    percent: list[float | None] = Field(description="(K,) under the protocol's normalisation, %")
    px: list[float | None] = Field(description="(K,) original images, px")
    count: list[int] = Field(description="(K,) faces on which the landmark counts")
    curves: dict[str, CurveError]


def summarise_errors(
    errors_NK: np.ndarray, sizes_N: np.ndarray, thresholds: Sequence[float] = THRESHOLDS_PERCENT
) -> ErrorSummary:
    """All numbers of one normalisation.

    Args:
        errors_NK: (N, K) px, NaN where masked.
        sizes_N: (N,) px, NaN where undefined.
        thresholds: %; the usual ones are always among them.
    """
    levels = sorted({*thresholds, *THRESHOLDS_PERCENT})
    nme_N = nme_per_face(errors_NK, sizes_N)
    nme_NK = errors_NK / sizes_N[:, None]
    known = nme_N[~np.isnan(nme_N)]
    return ErrorSummary(
        nme=percent(mean_nme(nme_N)),
        nme_median=percent(float(np.median(known))) if len(known) else None,
        nme_std=percent(float(known.std())) if len(known) else None,
        failure_rate={f"{t:g}": percent(failure_rate(nme_N, t / 100)) for t in levels},
        auc={f"{t:g}": percent(auc(nme_N, t / 100)) for t in levels},
        landmark_failure_rate={f"{t:g}": percent(landmark_failure_rate(nme_NK, t / 100)) for t in levels},
        faces=len(known),
        undefined=len(nme_N) - len(known),
    )


def summarise_scatter(scatter_NK: np.ndarray, mask_NK: np.ndarray, scale_N: np.ndarray) -> ScatterSummary:
    """Scatter in both grids.

    Args:
        scatter_NK: (N, K) px of the network's input grid.
        mask_NK: (N, K) bool, True where the landmark counts.
        scale_N: (N,) network px per original px.
    """
    return ScatterSummary(
        grid_px=defined(mean_scatter(scatter_NK, mask_NK)),
        original_px=defined(mean_scatter(in_original(scatter_NK, scale_N), mask_NK)),
        per_landmark_grid_px=_defined_list(scatter_per_landmark(scatter_NK, mask_NK)),
    )


def summarise_landmarks(errors_NK: np.ndarray, sizes_N: np.ndarray, markup: Markup) -> LandmarkErrors:
    """Errors per landmark and per curve.

    Args:
        errors_NK: (N, K) px, NaN where masked.
        sizes_N: (N,) px under the protocol's normalisation, NaN where undefined.
        markup: Names the curves.
    """
    relative_NK = errors_NK / sizes_N[:, None]
    curve_ratio, curve_px = mean_per_curve(relative_NK, markup), mean_per_curve(errors_NK, markup)
    return LandmarkErrors(
        percent=_defined_list(100.0 * mean_per_landmark(relative_NK)),
        px=_defined_list(mean_per_landmark(errors_NK)),
        count=[int(count) for count in count_per_landmark(errors_NK)],
        curves={
            name: CurveError(
                landmarks=list(indices), percent=percent(curve_ratio[name]), px=defined(curve_px[name])
            )
            for name, indices in curve_groups(markup).items()
        },
    )
