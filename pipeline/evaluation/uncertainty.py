"""Predicted uncertainty beside the errors, as a typed record; see ``metrics.uncertainty``."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from pipeline.errors import DataError
from pipeline.evaluation.metrics.nme import nme_per_face, point_errors
from pipeline.evaluation.metrics.uncertainty import (
    coverage,
    distance_quantile,
    gaussian_nll,
    mahalanobis_squared,
    mean_per_face,
    pearson,
    singular,
    spearman,
    spread,
)
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.summary import defined, percent
from pipeline.strict import Finite

LEVELS_PERCENT: tuple[int, ...] = (50, 90)
"""Shares of the landmarks at which coverage is told."""


class Correlation(Finite):
    """Agreement of spread and error, both over the face's size."""

    pearson: float | None = Field(description="r")
    spearman: float | None = Field(description="ρ, of the ranks")
    count: int = Field(ge=0, description="points it is over")


class UncertaintySummary(Finite):
    """What the predicted covariances are worth (Kumar et al., ICCVW 2019, section 5)."""

    spread_px: float | None = Field(description="mean |Σ|^{1/4}, px of the original images")
    spread: float | None = Field(
        description="mean |Σ|^{1/4} over the face's size, the protocol's normalisation, %"
    )
    by_landmark: Correlation = Field(description="a point is a landmark of a face")
    by_face: Correlation = Field(description="a point is a face: its mean spread and its NME")
    coverage: dict[str, float | None] = Field(
        description="level in % → share of landmarks within the ellipse that ought to hold this share, %"
    )
    mahalanobis_squared: dict[str, float | None] = Field(
        description="level in % → squared Mahalanobis distance within which this share lies; χ²₂ has 1.39 at 50 %, "
        "4.61 at 90 %; None where infinite"
    )
    nll: float | None = Field(
        description="mean Gaussian negative log-likelihood of the truth, nats, errors in % of the face's size; "
        "singular covariances left out"
    )
    landmarks: int = Field(ge=0, description="(face, landmark) pairs that count")
    singular: int = Field(ge=0, description="of these, pairs with a covariance without an inverse")


def spread_and_error(
    predictions: Predictions, sizes_N: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Spread and error over the face's size: the points of UGLLI's figure 3.

    Args:
        predictions: With covariances.
        sizes_N: (N,) px from ``face_size``, NaN where undefined.

    Returns:
        By landmark (N, K) and by face (N,), each spread and error as ratios; NaN where they do not count.

    Raises:
        DataError: These predictions state no covariance.
    """
    if predictions.covariance_NK22 is None:
        raise DataError("these predictions state no covariance: the model's method has none")
    mask_NK = predictions.mask_NK
    spread_NK = spread(predictions.covariance_NK22, mask_NK)
    errors_NK = point_errors(predictions.points_NK2, predictions.target_NK2, mask_NK)
    by_landmark = spread_NK / sizes_N[:, None], errors_NK / sizes_N[:, None]
    return by_landmark, (mean_per_face(by_landmark[0]), nme_per_face(errors_NK, sizes_N))


def squared_distances(predictions: Predictions) -> np.ndarray:
    """(N, K) squared Mahalanobis distance of each true landmark from the predicted one; NaN where masked.

    Raises:
        DataError: These predictions state no covariance.
    """
    if predictions.covariance_NK22 is None:
        raise DataError("these predictions state no covariance: the model's method has none")
    error_NK2 = predictions.points_NK2 - predictions.target_NK2
    return mahalanobis_squared(error_NK2, predictions.covariance_NK22, predictions.mask_NK)


def summarise_uncertainty(predictions: Predictions, sizes_N: np.ndarray) -> UncertaintySummary | None:
    """All numbers of the covariances; None where the model states none.

    Args:
        predictions: What the model said, beside the truth.
        sizes_N: (N,) px from ``face_size``, NaN where undefined.
    """
    covariance, mask_NK = predictions.covariance_NK22, predictions.mask_NK
    if covariance is None:
        return None
    by_landmark, by_face = spread_and_error(predictions, sizes_N)
    squared_NK = squared_distances(predictions)
    spread_NK = spread(covariance, mask_NK)
    # Per cent of the face's size: a likelihood in px would measure the images' resolution.
    per_cent_N = sizes_N / 100.0
    sized_NK = mask_NK & np.isfinite(per_cent_N)[:, None]
    safe_N = np.where(np.isfinite(per_cent_N), per_cent_N, 1.0)
    error_NK2 = (predictions.points_NK2 - predictions.target_NK2) / safe_N[:, None, None]
    scaled = covariance.astype(np.float64) / safe_N[:, None, None, None] ** 2
    return UncertaintySummary(
        spread_px=defined(_mean(spread_NK)),
        spread=percent(_mean(by_landmark[0])),
        by_landmark=_correlation(*by_landmark),
        by_face=_correlation(*by_face),
        coverage={str(level): percent(coverage(squared_NK, level / 100)) for level in LEVELS_PERCENT},
        mahalanobis_squared={
            str(level): _finite(distance_quantile(squared_NK, level / 100)) for level in LEVELS_PERCENT
        },
        nll=defined(gaussian_nll(error_NK2, scaled, sized_NK)),
        landmarks=int(mask_NK.sum()),
        singular=int((singular(covariance) & mask_NK).sum()),
    )


def _correlation(first: np.ndarray, second: np.ndarray) -> Correlation:
    return Correlation(
        pearson=defined(pearson(first, second)),
        spearman=defined(spearman(first, second)),
        count=int((np.isfinite(first) & np.isfinite(second)).sum()),
    )


def _mean(values_NK: np.ndarray) -> float:
    counted = values_NK[~np.isnan(values_NK)]
    return float(counted.mean()) if len(counted) else float("nan")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
