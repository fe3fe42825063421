"""The input of a report: runs, and published numbers to stand beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from pipeline.errors import DataError
from pipeline.evaluation import headline
from pipeline.evaluation.plots.charts import Series
from pipeline.evaluation.predictions import Predictions
from pipeline.evaluation.protocol import Evaluation
from pipeline.markup import Markup, load_markup


@dataclass(frozen=True)
class RunReport:
    """All that a report shows of one run.

    Attributes:
        name: Unique in the report; any text.
        evaluation: Its numbers and protocol.
        predictions: What the numbers were computed from; with small crops kept, faces are shown.
        markup: Only where the evaluation's markup is not a packaged one.
        curves: Quantity → (steps, values) of its training.
        parameters: Of the network that predicts.
        steps: Optimiser steps of the evaluated checkpoint.
        images: Training images, labelled and unlabelled.
        heatmap_panels: Caption and image, see ``plots.heatmap_panel``.
    """

    name: str
    evaluation: Evaluation
    predictions: Predictions
    markup: Markup | None = None
    curves: Mapping[str, Series] | None = None
    parameters: int | None = None
    steps: int | None = None
    images: int | None = None
    heatmap_panels: Sequence[tuple[str, Image.Image]] = ()

    @property
    def layout(self) -> Markup:
        """The markup its landmarks are drawn with."""
        return self.markup or load_markup(self.evaluation.markup)

    @property
    def values(self) -> dict[str, float | None]:
        """Column key → value, the run's own properties included."""
        own: dict[str, float | None] = {
            "parameters": self.parameters,
            "steps": self.steps,
            "images": self.images,
        }
        return headline.values(self.evaluation) | own


@dataclass(frozen=True)
class ReferenceRow:
    """A published result to stand beside ours.

    Attributes:
        name: Method and source, e.g. ``LaplaceKL, Robinson et al. 2019, table 2``.
        values: Column key (``headline.ALL_COLUMNS``) → value in the column's unit.
        caveat: What differs from our protocol; printed with the row.
        dataset: Shown only under protocols of this data set; None for all.
    """

    name: str
    values: Mapping[str, float]
    caveat: str
    dataset: str | None = None


def check(runs: Sequence[RunReport], reference_rows: Sequence[ReferenceRow]) -> None:
    """Refuse what cannot be shown.

    Raises:
        DataError: No run, two runs of one name, predictions that are not the evaluation's, or a reference row
            with an unknown column.
    """
    if not runs:
        raise DataError("a report needs at least one run: evaluate one first")
    names = [run.name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two runs are called '{twice[0]}': give each run of a report a name of its own")
    for run in runs:
        if len(run.predictions) != run.evaluation.faces:
            raise DataError(
                f"run '{run.name}': predictions of {len(run.predictions)} faces beside an evaluation of "
                f"{run.evaluation.faces}: give the predictions that the evaluation was made from"
            )
    known = {column.key for column in headline.ALL_COLUMNS}
    for row in reference_rows:
        unknown = sorted(set(row.values) - known)
        if unknown:
            raise DataError(
                f"reference row '{row.name}': no column '{unknown[0]}'; there are: {', '.join(sorted(known))}"
            )
