"""What a set says of a face besides its landmarks: what groups of faces are told apart by."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from pipeline.errors import DataError
from pipeline.evaluation.predictions import Predictions
from pipeline.strict import Strict


class FaceFacts(Strict):
    """Of one face. Kept as JSON text beside its predictions."""

    source: str = Field(description="data set")
    image: str = Field(description="the image's name in it")
    cut: bool = Field(description="a landmark lies outside of the crop, where the network cannot see it")
    pose: float | None = Field(default=None, description="of the manifest, standard deviations")
    attributes: dict[str, Any] = Field(default_factory=dict, description="the data set's own")


def facts_of(predictions: Predictions) -> list[FaceFacts]:
    """The facts of every face, in order; none at all where the predictions keep none.

    Raises:
        DataError: They cannot be read.
    """
    try:
        kept = predictions.facts_N if predictions.facts_N is not None else np.array([], dtype=str)
        return [FaceFacts.model_validate_json(str(text)) for text in kept]
    except ValidationError as error:
        raise DataError(f"predictions, field 'facts_N': {error}; evaluate again") from error
