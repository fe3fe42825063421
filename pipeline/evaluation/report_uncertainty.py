"""A report's sections on predicted uncertainty and on the direction of the errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pipeline.evaluation import headline
from pipeline.evaluation.inline import jpeg, themed
from pipeline.evaluation.plots.direction import direction_bars, direction_figure
from pipeline.evaluation.plots.ellipses import draw_ellipses
from pipeline.evaluation.plots.palette import Theme
from pipeline.evaluation.plots.uncertainty import calibration_figure, spread_figure
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_images import boxes, chosen_faces, mean_shape, placed
from pipeline.evaluation.report_input import ReferenceRow, RunReport
from pipeline.evaluation.report_tables import run_table
from pipeline.evaluation.sizes import face_sizes
from pipeline.evaluation.uncertainty import spread_and_error, squared_distances

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGMAS = 1.0
"""Mahalanobis distance of the drawn ellipses, UGLLI's; 39 % of a Gaussian lie within."""
_FACE_WIDTH = 420
_MARGIN = 1.25  # of a close-up over the landmarks' box
_COUNTS = {"worst": 2, "median": 1, "best": 1}
_WORDS = {"worst": "least sure", "median": "median spread", "best": "surest"}


def uncertainty(
    runs: Sequence[RunReport], references: Sequence[ReferenceRow], places: Mapping[str, int]
) -> dict[str, Any] | None:
    """The section on the covariances of runs under one protocol; None where no run states any.

    Args:
        runs: Runs of one protocol; those without covariances are left out.
        references: Published rows of its data set.
        places: Run name → its index in the whole report, which gives its colour.
    """
    stating = [
        run for run in runs if run.predictions.covariance_NK22 is not None and run.evaluation.uncertainty
    ]
    if not stating:
        return None
    points = {run.name: spread_and_error(run.predictions, _sizes(run)) for run in stating}
    squared = {run.name: squared_distances(run.predictions) for run in stating}
    names = ", ".join(points)
    by_landmark = {name: pair[0] for name, pair in points.items()}
    by_face = {name: pair[1] for name, pair in points.items()}
    drawn: list[tuple[str, str, Callable[[Theme], Figure]]] = [
        (
            "Spread and error of the landmarks",
            f"Error of every landmark of {names} against its predicted spread, with the means of ten bins.",
            lambda theme: spread_figure(by_landmark, of="landmark", theme=placed(theme, points, places)),
        ),
        (
            "Spread and error of the faces",
            f"NME of every face of {names} against its mean predicted spread, with the means of ten bins.",
            lambda theme: spread_figure(by_face, of="face", theme=placed(theme, points, places)),
        ),
        (
            "Calibration",
            f"Share of landmarks of {names} within each error ellipse against the share that ought to be.",
            lambda theme: calibration_figure(squared, theme=placed(theme, points, places)),
        ),
    ]
    return {
        "table": run_table(headline.UNCERTAINTY_COLUMNS, stating, references),
        "charts": _charts(drawn, len(stating)),
        "faces": _ellipse_faces(stating, by_face),
        "sigmas": f"{SIGMAS:g}",
        "warnings": [
            f"{run.name}: {u.singular} of {u.landmarks} covariances have no inverse; they have no likelihood, "
            "and hold no landmark unless it is met exactly."
            for run in stating
            if (u := run.evaluation.uncertainty) is not None and u.singular
        ],
    }


def direction(
    runs: Sequence[RunReport], references: Sequence[ReferenceRow], places: Mapping[str, int]
) -> dict[str, Any] | None:
    """The section on normal and tangent errors of runs under one protocol; None for a markup without curves.

    Args:
        runs: Runs of one protocol.
        references: Published rows of its data set.
        places: Run name → its index in the whole report, which gives its colour.
    """
    measured = [run for run in runs if run.evaluation.direction is not None]
    if not measured:
        return None
    layout, shape_K2 = measured[0].layout, mean_shape(measured[0].predictions)
    moments = {run.name: error_moments(run.predictions) for run in measured}
    bias = {run.name: run.values["bias"] for run in measured}
    by_curve = {
        run.name: {name: (c.normal, c.tangent) for name, c in summary.curves.items()}
        for run in measured
        if (summary := run.evaluation.direction) is not None
    }
    names = ", ".join(moments)
    drawn: list[tuple[str, str, Callable[[Theme], Figure]]] = [
        (
            "Where errors spread",
            f"Ellipses of the root mean square error of every landmark of {names} on a mean face.",
            lambda theme: direction_figure(
                shape_K2, moments, bias, layout, theme=placed(theme, moments, places)
            ),
        ),
        (
            "Across and along each contour",
            f"Bars of the mean error across and along every contour of {names}.",
            lambda theme: direction_bars(by_curve, theme=placed(theme, by_curve, places)),
        ),
    ]
    return {
        "table": run_table(headline.DIRECTION_COLUMNS, measured, references),
        "charts": _charts(drawn, len(measured)),
    }


def error_moments(predictions: Predictions) -> np.ndarray:
    """Second moments of each landmark's error about the truth, each face scaled by the longer side of its box.

    Returns:
        (K, 2, 2) float64, axes (x, y); NaN for a landmark never seen.
    """
    size_N = boxes(predictions)[1]
    seen = predictions.mask_NK & np.isfinite(size_N)[:, None]
    truth = np.where(seen[..., None], predictions.target_NK2, predictions.points_NK2)
    error_NK2 = (predictions.points_NK2 - truth) / np.where(np.isfinite(size_N), size_N, 1.0)[:, None, None]
    sums_K22 = np.einsum("nki,nkj->kij", error_NK2, error_NK2)
    counts_K = seen.sum(axis=0)[:, None, None]
    return np.divide(sums_K22, counts_K, out=np.full(sums_K22.shape, np.nan), where=counts_K > 0)


def _charts(drawn: Sequence[tuple[str, str, Callable[[Theme], Figure]]], runs: int) -> list[dict[str, Any]]:
    return [{"title": title, "alt": alt, "wide": runs > 4, **themed(draw)} for title, alt, draw in drawn]


def _sizes(run: RunReport) -> np.ndarray:
    return face_sizes(run.predictions, run.layout, run.evaluation.protocol.normalisation)


def _ellipse_faces(
    runs: Sequence[RunReport], by_face: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> list[dict[str, Any]]:
    """Each run's least sure, median and surest faces, drawn for every run that keeps images."""

    def drawn(run: RunReport, index: int) -> dict[str, str]:
        spread, error = (f"{100 * values[index]:.2f}" for values in by_face[run.name])
        alt = (
            f"Face {run.predictions.keys[index]} with the error ellipses of {run.name} and the true landmarks: "
            f"mean spread {spread} %, NME {error} %"
        )
        return {"spread": spread, "nme": error, "data": _ellipses(run, index), "alt": alt}

    return chosen_faces(runs, {name: spread for name, (spread, _) in by_face.items()}, drawn, _COUNTS, _WORDS)


def _ellipses(run: RunReport, index: int) -> str:
    """Close up: at the crop's own scale the ellipses of a good network are as small as their dots."""
    p = run.predictions
    assert p.images_NSS3 is not None
    image_SS3 = p.images_NSS3[index]
    predicted, target = (p.on_thumbnail(index, points[index]) for points in (p.points_NK2, p.target_NK2))
    left, top, side = _around(np.where(p.mask_NK[index, :, None], target, predicted), len(image_SS3))
    corner = np.array([left, top])
    image = draw_ellipses(
        image_SS3[top : top + side, left : left + side],
        predicted - corner,
        p.covariance_on_thumbnail(index),
        target - corner,
        mask_K=p.mask_NK[index],
        sigmas=SIGMAS,
        width=_FACE_WIDTH,
    )
    return jpeg(Image.fromarray(image))


def _around(points_K2: np.ndarray, size: int) -> tuple[int, int, int]:
    """Left, top and side of a square about points, whole px within an image of ``size`` × ``size``."""
    low, high = np.clip(points_K2.min(axis=0), 0, size), np.clip(points_K2.max(axis=0), 0, size)
    side = int(np.clip(np.ceil(_MARGIN * (high - low).max()), min(8, size), size))
    left, top = (int(v) for v in np.clip(np.round((low + high - side + 1) / 2), 0, size - side))
    return left, top, side
