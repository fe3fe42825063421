"""The sizes that errors are divided by: of the faces as the data set labels them, whatever markup is measured in.

WFLW's faces are normalised by WFLW's eye corners also where a model is measured on five points that have none.
"""

from __future__ import annotations

import numpy as np

from pipeline.evaluation.metrics.nme import NORMALISATIONS, Normalisation, face_size
from pipeline.evaluation.predictions import Predictions
from pipeline.markup import Markup


def defines(markup: Markup, normalisation: Normalisation) -> bool:
    """Whether a markup has the landmarks that a normalisation needs."""
    needed = {"ocular": markup.ocular, "pupil": markup.pupils}
    return normalisation not in needed or needed[normalisation] is not None


def own_sizes(target_NK2: np.ndarray, mask_NK: np.ndarray, markup: Markup) -> np.ndarray:
    """(N, 4) px under each of ``NORMALISATIONS``, NaN where undefined; arguments as for ``face_size``."""
    return np.stack([face_size(target_NK2, mask_NK, n, markup) for n in NORMALISATIONS], axis=1)


def face_sizes(predictions: Predictions, markup: Markup, normalisation: Normalisation) -> np.ndarray:
    """(N,) px, NaN where undefined.

    Args:
        predictions: With the sizes of the set's own landmarks, or with those landmarks.
        markup: That the predictions are in; asked where the set's own landmarks do not define the size.
        normalisation: Which size.
    """
    if predictions.sizes_N4 is not None:
        own_N = predictions.sizes_N4[:, NORMALISATIONS.index(normalisation)]
        if np.isfinite(own_N).any() or not defines(markup, normalisation):
            return np.asarray(own_N)
    return face_size(predictions.target_NK2, predictions.mask_NK, normalisation, markup)
