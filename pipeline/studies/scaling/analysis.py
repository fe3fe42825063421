"""Everything that is computed from a study, once, for console, report and files alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.studies.scaling.answer import Answer, answer
from pipeline.studies.scaling.cells import CellResult, Group, Study
from pipeline.studies.scaling.curve import Curve, fit_curve
from pipeline.studies.scaling.gain import Comparison, compare
from pipeline.studies.scaling.room import Room, room
from pipeline.studies.scaling.worth import Worth, worth


@dataclass(frozen=True)
class Level:
    """The runs of one group and number of unlabelled faces. Errors in per cent.

    Attributes:
        group: Where.
        unlabelled: Number of unlabelled faces.
        seeds: Of the runs that have an error.
        errors: One per seed.
        mean: Over the seeds.
        deviation: Standard deviation over the seeds (n − 1); None with one.
        extra: Further figures, name → (mean, deviation or None).
        steps: Optimiser steps of each run.
    """

    group: Group
    unlabelled: int
    seeds: tuple[int, ...]
    errors: tuple[float, ...]
    mean: float
    deviation: float | None
    extra: Mapping[str, tuple[float, float | None]]
    steps: int


@dataclass(frozen=True, eq=False)
class Analysis:
    """A study, understood.

    Attributes:
        study: What it is of.
        levels: Every group and N with a run that did not diverge.
        comparisons: Every N > 0 against none.
        curves: One per group.
        rooms: Of the comparisons below the largest label budget.
        worths: Shown gains in labelled faces; those that can be told.
        answer: All of it in words.
    """

    study: Study
    levels: tuple[Level, ...]
    comparisons: tuple[Comparison, ...]
    curves: tuple[Curve, ...]
    rooms: tuple[Room, ...]
    worths: tuple[Worth, ...]
    answer: Answer

    @property
    def series(self) -> tuple[str, ...]:
        """The lines of its charts, in the order of their colours."""
        return tuple(dict.fromkeys(group.series for group in self.study.groups))

    def level(self, group: Group, unlabelled: int) -> Level | None:
        """One level; None where no run of it has an error."""
        found = (x for x in self.levels if x.group == group and x.unlabelled == unlabelled)
        return next(found, None)

    def comparison(self, group: Group, unlabelled: int) -> Comparison | None:
        """One comparison; None where there is no pair of runs."""
        found = (x for x in self.comparisons if x.group == group and x.unlabelled == unlabelled)
        return next(found, None)

    def room(self, comparison: Comparison) -> Room | None:
        """The room of a comparison; None where there is none, or it is not known."""
        where = (comparison.group, comparison.unlabelled)
        return next((x for x in self.rooms if (x.group, x.unlabelled) == where), None)


def analyse(study: Study) -> Analysis:
    """Levels, tests, curves and the answer in words; seconds for some dozen groups, and the same every time."""
    levels = tuple(
        _level(study, group, count, list(runs.values()))
        for group in study.groups
        for count, runs in study.of_group(group).items()
    )
    comparisons = compare(study)
    curves = tuple(fit_curve(study, group) for group in study.groups)
    supervised = {x.group: x.mean for x in levels if x.unlabelled == 0}
    worths = tuple(w for x in comparisons if (w := worth(x, supervised)) is not None)
    rooms = tuple(r for x in comparisons if (r := room(x, supervised)) is not None)
    words = answer(study, comparisons, curves, rooms, worths)
    return Analysis(study, levels, comparisons, curves, rooms, worths, words)


def _level(study: Study, group: Group, count: int, runs: list[CellResult]) -> Level:
    errors = np.array([study.error(run) for run in runs])
    names = dict.fromkeys(name for run in runs for name in run.extra)
    extra = {name: _summary(np.array([run.extra.get(name, np.nan) for run in runs])) for name in names}
    return Level(
        group,
        count,
        tuple(run.cell.seed for run in runs),
        tuple(errors.tolist()),
        *_summary(errors),
        {name: summary for name, summary in extra.items() if np.isfinite(summary[0])},
        runs[0].steps,
    )


def _summary(values: np.ndarray) -> tuple[float, float | None]:
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None


def as_json(value: Any) -> Any:
    """Analysis, or any part of it, as JSON values: dataclasses and tuples become objects, what is no number None."""
    if isinstance(value, Group):
        return value._asdict()
    if isinstance(value, Study):
        facts = {"protocol": value.protocol, "markup": value.markup, "faces": value.faces}
        facts |= {"excluded_faces": value.excluded, "selected_on_test": value.selected_on_test}
        facts |= {"provenance": as_json(value.provenance)}
        return facts | {"cells": [_cell(value, result) for result in value.results]}
    if hasattr(value, "__dataclass_fields__"):
        return {name: as_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, np.generic):
        return as_json(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _cell(study: Study, result: CellResult) -> dict[str, Any]:
    return as_json(
        {
            **{name: getattr(result.cell, name) for name in result.cell.__dataclass_fields__},
            "run": result.run,
            "nme_percent": float("nan") if result.diverged else study.error(result),
            "validation_nme_percent": result.validation_nme,
            "diverged": result.diverged,
            "steps": result.steps,
            "seconds": result.seconds,
            "config_hash": result.config_hash,
            "mlflow_run": result.mlflow_run,
            **result.extra,
        }
    )
