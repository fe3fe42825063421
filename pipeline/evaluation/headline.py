"""The columns of every comparison of runs, one definition for console and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.evaluation import provenance
from pipeline.evaluation.metrics.nme import Normalisation
from pipeline.evaluation.protocol import Evaluation

ABSENT = provenance.ABSENT
"""Printed where a number is undefined or was not measured."""


@dataclass(frozen=True)
class Column:
    """One column of a headline table.

    Attributes:
        key: Stable name, for reference rows.
        label: Column head.
        unit: ``%``, ``px`` or empty.
        better: Which way is better; None for a property of the run, which is never set in bold.
        meaning: One sentence, for the report's legend.
        digits: Printed after the decimal point.
    """

    key: str
    label: str
    unit: str
    better: Literal["lower", "higher"] | None
    meaning: str
    digits: int = 2

    def text(self, value: float | None) -> str:
        """The number as printed."""
        if value is None:
            return ABSENT
        return f"{value:,.{self.digits}f}"


_NME = "mean distance of predicted from true visible landmarks over"
COLUMNS: tuple[Column, ...] = (
    Column("ocular", "NME ocular", "%", "lower", f"{_NME} the distance of the outer eye corners"),
    Column("pupil", "NME pupil", "%", "lower", f"{_NME} the distance of the eyes' centres"),
    Column("box", "NME box", "%", "lower", f"{_NME} √(width · height) of the true landmarks' box"),
    Column("diagonal", "NME diagonal", "%", "lower", f"{_NME} the diagonal of the true landmarks' box"),
    Column("fr8", "FR₈", "%", "lower", "share of faces with NME strictly above 8 %"),
    Column("fr10", "FR₁₀", "%", "lower", "share of faces with NME strictly above 10 %"),
    Column("auc7", "AUC₇", "%", "higher", "area under the cumulative error curve up to 7 %, over 7 %, exact"),
    Column("auc8", "AUC₈", "%", "higher", "the same up to 8 %"),
    Column("auc10", "AUC₁₀", "%", "higher", "the same up to 10 %"),
    Column(
        "scatter", "Scatter", "px", "lower", "mean spread of the heatmaps, px of the network's input grid"
    ),
)
DIRECTION_COLUMNS: tuple[Column, ...] = (
    Column("normal", "Normal NME", "%", "lower", "mean error across the contours, under the protocol's size"),
    Column(
        "tangent", "Tangent NME", "%", "lower", "mean error along the contours, under the protocol's size"
    ),
    Column("bias", "Bias rate", "%", None, "(tangent − normal) / normal: how much more errors spread along"),
)
UNCERTAINTY_COLUMNS: tuple[Column, ...] = (
    Column(
        "spread",
        "Spread",
        "%",
        None,
        "mean |Σ|^(1/4) of the predicted covariances, under the protocol's size",
    ),
    Column("r", "r landmarks", "", "higher", "Pearson correlation of spread and error over all landmarks"),
    Column("rho", "ρ landmarks", "", "higher", "Spearman's rank correlation of the same"),
    Column("r_face", "r faces", "", "higher", "Pearson correlation of a face's mean spread and its NME"),
    Column("rho_face", "ρ faces", "", "higher", "Spearman's rank correlation of the same"),
    Column(
        "cover50", "In 50 %", "%", None, "share of landmarks in the ellipse that ought to hold half of them"
    ),
    Column(
        "cover90", "In 90 %", "%", None, "share of landmarks in the ellipse that ought to hold 90 % of them"
    ),
    Column(
        "nll",
        "NLL",
        "nats",
        "lower",
        "mean Gaussian negative log-likelihood of the true landmarks, errors in % of the protocol's size",
    ),
)
SELECTION_COLUMNS: tuple[Column, ...] = (
    Column(
        "aurc",
        "AURC",
        "%",
        "lower",
        "area under the risk–coverage curve: mean NME of the surest share, over all shares",
    ),
    Column(
        "ause",
        "AUSE",
        "",
        "lower",
        "area between that curve and the one of the errors' own order, over the mean NME",
        3,
    ),
    Column("risk80", "NME of 80 %", "%", "lower", "NME of the faces without the least sure fifth"),
    Column("risk95", "NME of 95 %", "%", "lower", "NME of the faces without the least sure twentieth"),
    Column(
        "found10",
        "Found in 10 %",
        "%",
        "higher",
        "share of the faces above 10 % NME among the tenth that is least sure",
    ),
)
RUN_COLUMNS: tuple[Column, ...] = (
    Column("parameters", "Parameters", "", None, "trainable parameters of the network that predicts", 0),
    Column("steps", "Steps", "", None, "optimiser steps of the evaluated checkpoint", 0),
    Column("images", "Images", "", None, "training images, labelled and unlabelled", 0),
)

ALL_COLUMNS: tuple[Column, ...] = (
    *COLUMNS,
    *DIRECTION_COLUMNS,
    *UNCERTAINTY_COLUMNS,
    *SELECTION_COLUMNS,
    *RUN_COLUMNS,
)

_ERROR_COLUMNS: dict[str, Callable[[Evaluation], float | None]] = {
    "fr8": lambda e: e.headline.failure_rate["8"],
    "fr10": lambda e: e.headline.failure_rate["10"],
    "auc7": lambda e: e.headline.auc["7"],
    "auc8": lambda e: e.headline.auc["8"],
    "auc10": lambda e: e.headline.auc["10"],
    "scatter": lambda e: e.scatter.grid_px if e.scatter else None,
    "normal": lambda e: e.direction.normal_nme if e.direction else None,
    "tangent": lambda e: e.direction.tangent_nme if e.direction else None,
    "bias": lambda e: e.direction.bias_rate if e.direction else None,
    "spread": lambda e: e.uncertainty.spread if e.uncertainty else None,
    "r": lambda e: e.uncertainty.by_landmark.pearson if e.uncertainty else None,
    "rho": lambda e: e.uncertainty.by_landmark.spearman if e.uncertainty else None,
    "r_face": lambda e: e.uncertainty.by_face.pearson if e.uncertainty else None,
    "rho_face": lambda e: e.uncertainty.by_face.spearman if e.uncertainty else None,
    "cover50": lambda e: e.uncertainty.coverage["50"] if e.uncertainty else None,
    "cover90": lambda e: e.uncertainty.coverage["90"] if e.uncertainty else None,
    "nll": lambda e: e.uncertainty.nll if e.uncertainty else None,
    "aurc": lambda e: e.selection.aurc if e.selection else None,
    "ause": lambda e: e.selection.ause if e.selection else None,
    "risk80": lambda e: e.selection.risk["80"] if e.selection else None,
    "risk95": lambda e: e.selection.risk["95"] if e.selection else None,
    "found10": lambda e: e.selection.found["10"] if e.selection else None,
}


def _nme(evaluation: Evaluation, normalisation: Normalisation) -> float | None:
    return evaluation.errors[normalisation].nme


def values(evaluation: Evaluation) -> dict[str, float | None]:
    """Column key → value in the column's unit; FR and AUC are under the protocol's own normalisation."""
    nmes: dict[str, float | None] = {n: _nme(evaluation, n) for n in ("ocular", "pupil", "box", "diagonal")}
    return nmes | {key: read(evaluation) for key, read in _ERROR_COLUMNS.items()}


def best(rows: Sequence[Mapping[str, float | None]], column: Column) -> set[int]:
    """Which rows are best in a column: all that print alike, none where there is nothing to compare."""
    known = {i: v for i, row in enumerate(rows) if (v := row.get(column.key)) is not None}
    if column.better is None or len(known) < 2:
        return set()
    target = column.text(min(known.values()) if column.better == "lower" else max(known.values()))
    winners = {i for i, value in known.items() if column.text(value) == target}
    return winners if len(winners) < len(known) else set()
