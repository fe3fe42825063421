"""Errors across and along the contours, as a typed record; see ``metrics.direction``."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from pipeline.evaluation.metrics.direction import bias_rate, normal_and_tangent
from pipeline.evaluation.metrics.nme import mean_nme, nme_per_face
from pipeline.evaluation.metrics.per_landmark import OTHER, mean_per_curve
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.summary import percent
from pipeline.markup import Markup
from pipeline.strict import Finite


class CurveDirection(Finite):
    """Mean error of one curve's landmarks by direction."""

    normal: float | None = Field(description="across the curve, %")
    tangent: float | None = Field(description="along the curve, %")


class DirectionSummary(Finite):
    """Normal and tangent error under the protocol's normalisation (Huang et al., ICCV 2021, table 8). All per cent."""

    normal_nme: float | None = Field(description="NME across the curves, %")
    tangent_nme: float | None = Field(description="NME along the curves, %")
    nme: float | None = Field(description="NME of the very landmarks that have a direction, %")
    bias_rate: float | None = Field(description="(tangent − normal) / normal, equation 12, %")
    landmarks: int = Field(ge=0, description="(face, landmark) pairs that count and have a direction")
    curves: dict[str, CurveDirection] = Field(description="curve → mean over its landmarks")


def summarise_direction(
    predictions: Predictions, sizes_N: np.ndarray, markup: Markup
) -> DirectionSummary | None:
    """All numbers by direction; None where no landmark has one.

    Args:
        predictions: What the model said, beside the truth.
        sizes_N: (N,) px from ``face_size``, NaN where undefined.
        markup: Names the curves.
    """
    across_NK, along_NK = normal_and_tangent(
        predictions.points_NK2, predictions.target_NK2, predictions.mask_NK, markup
    )
    if np.isnan(across_NK).all():
        return None
    normal, tangent, overall = (
        mean_nme(nme_per_face(errors_NK, sizes_N))
        for errors_NK in (across_NK, along_NK, np.hypot(across_NK, along_NK))
    )
    by_curve = [mean_per_curve(errors / sizes_N[:, None], markup) for errors in (across_NK, along_NK)]
    return DirectionSummary(
        normal_nme=percent(normal),
        tangent_nme=percent(tangent),
        nme=percent(overall),
        bias_rate=percent(bias_rate(normal, tangent)),
        landmarks=int((~np.isnan(across_NK)).sum()),
        curves={
            name: CurveDirection(normal=percent(by_curve[0][name]), tangent=percent(by_curve[1][name]))
            for name in by_curve[0]
            if name != OTHER
        },
    )
