"""The library: everything but Ray entry points. Usable without Ray, DeepSpeed or MLflow imported.

``from pipeline import Predictor, load_model, load_markup``; losses, heatmaps and networks from their packages. Importing the
package imports none of it: what is named here is fetched when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.inference.predicted_face import PredictedFace
    from pipeline.inference.predictor import Predictor
    from pipeline.markup import Markup, load_markup
    from pipeline.methods.model_file import LandmarkModel, load_model

__all__ = ["LandmarkModel", "Markup", "PredictedFace", "Predictor", "load_markup", "load_model"]

_FOUND_IN = {
    "LandmarkModel": "pipeline.methods.model_file",
    "Markup": "pipeline.markup",
    "PredictedFace": "pipeline.inference.predicted_face",
    "Predictor": "pipeline.inference.predictor",
    "load_markup": "pipeline.markup",
    "load_model": "pipeline.methods.model_file",
}


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
    return getattr(importlib.import_module(_FOUND_IN[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
