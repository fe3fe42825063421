"""What a model's own uncertainty is worth for leaving faces out, as a typed record; see ``metrics.selection``."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.evaluation.metrics.nme import nme_per_face, point_errors
from pipeline.evaluation.metrics.scatter import in_original
from pipeline.evaluation.metrics.selection import (
    area_under_risk,
    failures_found,
    risk_at,
    sparsification_error,
)
from pipeline.evaluation.metrics.uncertainty import mean_per_face, spread
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.summary import defined, percent
from pipeline.strict import Finite

COVERAGES_PERCENT = (50, 80, 90, 95)
REJECTED_PERCENT = (5, 10, 20)
FAILURE_PERCENT = 10
"""NME above which a face is a failure that ought to be found."""


class SelectionSummary(Finite):
    """Errors under the protocol's normalisation, faces sorted by their mean uncertainty over their size."""

    by: Literal["covariance", "scatter"] = Field(
        description="the uncertainty: |Σ|^{1/4}, or of a model that states none the spread of its heatmaps"
    )
    aurc: float | None = Field(description="area under the risk–coverage curve, % NME")
    ause: float | None = Field(description="area between it and the errors' own order, over the mean NME")
    risk: dict[str, float | None] = Field(description="coverage in % → NME of the surest faces, %")
    found: dict[str, float | None] = Field(
        description="share rejected in % → share of the faces above 10 % NME among them, %; None where no face is above"
    )


def face_uncertainty(
    predictions: Predictions, sizes_N: np.ndarray
) -> tuple[np.ndarray, Literal["covariance", "scatter"]] | None:
    """(N,) mean uncertainty of each face's landmarks over its size, and what it is; None for a model that has neither."""
    if predictions.covariance_NK22 is not None:
        spread_NK = spread(predictions.covariance_NK22, predictions.mask_NK)
        return mean_per_face(spread_NK / sizes_N[:, None]), "covariance"
    if predictions.scatter_NK is None:
        return None
    scatter_NK = in_original(predictions.scatter_NK, predictions.scale_N) / sizes_N[:, None]
    return mean_per_face(np.where(predictions.mask_NK, scatter_NK, np.nan)), "scatter"


def summarise_selection(predictions: Predictions, sizes_N: np.ndarray) -> SelectionSummary | None:
    """All numbers; None for a model without uncertainty.

    Args:
        predictions: What the model said, beside the truth.
        sizes_N: (N,) px, NaN where undefined.
    """
    found = face_uncertainty(predictions, sizes_N)
    if found is None:
        return None
    unsure_N, by = found
    errors_NK = point_errors(predictions.points_NK2, predictions.target_NK2, predictions.mask_NK)
    nme_N = nme_per_face(errors_NK, sizes_N)
    return SelectionSummary(
        by=by,
        aurc=percent(area_under_risk(nme_N, unsure_N)),
        ause=defined(sparsification_error(nme_N, unsure_N)),
        risk={str(c): percent(risk_at(nme_N, unsure_N, c / 100)) for c in COVERAGES_PERCENT},
        found={str(r): _found(nme_N, unsure_N, r / 100) for r in REJECTED_PERCENT},
    )


def _found(nme_N: np.ndarray, unsure_N: np.ndarray, share: float) -> float | None:
    if not (nme_N[np.isfinite(unsure_N)] > FAILURE_PERCENT / 100).any():
        return None
    rejected, found = failures_found(nme_N, unsure_N, FAILURE_PERCENT / 100)
    return percent(float(np.interp(share, rejected, found)))
