"""The charts and faces of a report, as data URIs with the words that stand for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pipeline.evaluation.gallery import COUNTS, choose_faces, common_keys
from pipeline.evaluation.inline import jpeg, themed
from pipeline.evaluation.metrics.nme import point_errors
from pipeline.evaluation.plots import charts
from pipeline.evaluation.plots.overlays import draw_landmarks
from pipeline.evaluation.plots.palette import Theme
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.report_input import RunReport
from pipeline.evaluation.sizes import face_sizes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FACE_WIDTH = 340  # as wide as the page shows it


def group_charts(
    runs: Sequence[RunReport], nme: Mapping[str, np.ndarray], places: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The charts of runs under one protocol.

    Args:
        runs: Runs of one protocol.
        nme: Run name → (N,) NME ratios.
        places: Run name → its index in the whole report, which gives its colour.
    """
    layout = runs[0].layout
    by_landmark = {run.name: run.evaluation.per_landmark.percent for run in runs}
    by_curve = {
        run.name: {name: c.percent for name, c in run.evaluation.per_landmark.curves.items()} for run in runs
    }
    shape_K2 = mean_shape(runs[0].predictions)
    by_face = {run.name: _landmark_nme(run) for run in runs}
    names = ", ".join(nme)
    drawn: list[tuple[str, str, bool, Callable[[Theme], Figure]]] = [
        (
            "Cumulative error",
            f"Cumulative error distribution up to 10 % NME of {names}; the areas are the table's AUC₁₀.",
            False,
            lambda theme: charts.ced_figure(nme, theme=placed(theme, nme, places)),
        ),
        (
            "Cumulative error of the landmarks",
            f"Landmark-wise cumulative error distribution up to 20 % of {names}.",
            False,
            lambda theme: charts.landmark_ced_figure(by_face, theme=placed(theme, nme, places)),
        ),
        (
            "Error of the faces",
            f"Histogram of the faces' NME of {names}, medians marked.",
            False,
            lambda theme: charts.histogram_figure(nme, theme=placed(theme, nme, places)),
        ),
        (
            "Error by contour",
            f"Bars of the mean error on each facial contour of {names}; the numbers are in the table below.",
            False,
            lambda theme: charts.curve_figure(by_curve, theme=placed(theme, nme, places)),
        ),
        (
            "Error on the face",
            f"Mean error of every landmark of {names}: spots on a mean face, larger, brighter where worse.",
            len(runs) > 4,
            lambda theme: charts.landmark_map_figure(shape_K2, by_landmark, layout, theme=theme),
        ),
    ]
    return [{"title": title, "alt": alt, "wide": wide, **themed(draw)} for title, alt, wide, draw in drawn]


def _landmark_nme(run: RunReport) -> np.ndarray:
    p = run.predictions
    sizes_N = face_sizes(p, run.layout, run.evaluation.protocol.normalisation)
    return point_errors(p.points_NK2, p.target_NK2, p.mask_NK) / sizes_N[:, None]


def placed(theme: Theme, shown: Mapping[str, object], places: Mapping[str, int]) -> Theme:
    """A run keeps its colour when only some of the report's runs are in a chart."""
    return theme.only([places[name] for name in shown])


def mean_shape(predictions: Predictions) -> np.ndarray:
    """(K, 2) mean of the true faces, each centred and scaled by its box; NaN for a landmark never seen."""
    points = np.where(predictions.mask_NK[..., None], predictions.target_NK2, np.nan)
    centre_N2, size_N = boxes(predictions)
    scaled = (points - centre_N2[:, None]) / size_N[:, None, None]
    known = np.isfinite(scaled)
    counts = known.sum(axis=0)
    sums = np.where(known, scaled, 0).sum(axis=0)
    return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)


def boxes(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Centre (N, 2) and longer side (N,) of the true faces' boxes, px; NaN where there is none."""
    points = np.where(predictions.mask_NK[..., None], predictions.target_NK2, np.nan)
    low, high = np.fmin.reduce(points, axis=1), np.fmax.reduce(points, axis=1)
    size_N = (high - low).max(axis=-1)
    return (low + high) / 2, np.where(size_N > 0, size_N, np.nan)


def training_charts(runs: Sequence[RunReport]) -> list[dict[str, str]]:
    """All runs' training curves, a chart per quantity."""
    curves = {run.name: run.curves for run in runs if run.curves}
    places = {run.name: index for index, run in enumerate(runs)}

    def chart(quantity: str) -> dict[str, str]:
        own = {name: {quantity: series[quantity]} for name, series in curves.items() if quantity in series}
        return {
            "alt": f"Training curves of {', '.join(own)}: {quantity} against the step",
            **themed(lambda theme: charts.training_figure(own, theme=placed(theme, own, places))),
        }

    return [chart(quantity) for quantity in dict.fromkeys(q for series in curves.values() for q in series)]


def faces(runs: Sequence[RunReport], nme: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Each run's worst, median and best faces, drawn for every run that keeps images."""
    return chosen_faces(runs, nme, lambda run, index: face_image(run, index, nme[run.name]))


def face_image(run: RunReport, index: int, nme_N: np.ndarray, width: int | None = None) -> dict[str, str]:
    """A face with a run's landmarks over the true ones: error, data URI (``width`` px) and the words that stand for it."""
    error = f"{100 * nme_N[index]:.2f}"
    return {
        "nme": error,
        "data": _face(run, index, width or _FACE_WIDTH),
        "alt": _face_alt(run, index, error),
    }


def chosen_faces(
    runs: Sequence[RunReport],
    ranking: Mapping[str, np.ndarray],
    drawn: Callable[[RunReport, int], dict[str, str]],
    counts: Mapping[str, int] = COUNTS,
    words: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Each run's first, median and last faces of a ranking, drawn for every run that keeps images.

    Args:
        runs: Runs of one protocol.
        ranking: Run name → (N,) what its faces are ranked by, best first; NaN where undefined.
        drawn: A run and a face's index in it → the fields of its image on the page.
        counts: Kind → faces per run, see ``choose_faces``.
        words: Kind → what the page calls it; None is the kind.
    """
    imaged = [run for run in runs if run.predictions.images_NSS3 is not None]
    keys = common_keys([run.predictions.keys for run in imaged]) if imaged else np.array([])
    if not len(keys):
        return []
    rows = {run.name: {str(key): i for i, key in enumerate(run.predictions.keys)} for run in imaged}
    ranked = {run.name: ranking[run.name][[rows[run.name][str(key)] for key in keys]] for run in imaged}
    shown = []
    for choice in choose_faces(ranked, keys, counts):
        images = [{"run": run.name, **drawn(run, rows[run.name][choice.key])} for run in imaged]
        why = ", ".join(f"{words[kind] if words else kind} of {run}" for kind, run in choice.reasons)
        shown.append({"key": choice.key, "why": why, "images": images})
    return shown


def _face(run: RunReport, index: int, width: int) -> str:
    p = run.predictions
    assert p.images_NSS3 is not None
    image = draw_landmarks(
        p.images_NSS3[index],
        p.on_thumbnail(index, p.points_NK2[index]),
        p.on_thumbnail(index, p.target_NK2[index]),
        run.layout,
        mask_K=p.mask_NK[index],
        width=width,
    )
    return jpeg(Image.fromarray(image))


def _face_alt(run: RunReport, index: int, error: str) -> str:
    p, one = run.predictions, slice(index, index + 1)
    worst = np.nanmax(point_errors(p.points_NK2[one], p.target_NK2[one], p.mask_NK[one]))
    return (
        f"Face {p.keys[index]} with the landmarks of {run.name} over the true ones: "
        f"NME {error} %, largest error {worst:.1f} px"
    )
