"""The results of a scaling study: one per cell of the grid, checked for being comparable.

Two errors compare only if they were measured on the same faces and, within a group, after the same number of
steps: more steps for the semi-supervised column would pass for the worth of its unlabelled faces. Both are errors
here, not footnotes.

Errors are NME ratios per face, shape (N,) over the faces of the measured split, and per cent once averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import DataError


@dataclass(frozen=True)
class Cell:
    """A place in the grid.

    Attributes:
        labelled: Number of labelled faces.
        unlabelled: Number of unlabelled faces; 0 is the supervised column.
        method: Its name in the config.
        width: Channels of the generator; None for the config's own.
        seed: Of initialisation, order and subsets.
    """

    labelled: int
    unlabelled: int
    method: str
    width: int | None
    seed: int

    def __str__(self) -> str:
        width = "" if self.width is None else f", width {self.width}"
        return (
            f"{self.method}{width}, {self.labelled:,} labelled + {self.unlabelled:,} unlabelled, "
            f"seed {self.seed}"
        )


@dataclass(frozen=True, eq=False)
class CellResult:
    """One training, measured.

    Attributes:
        cell: Where it belongs.
        run: Name of its run.
        steps: Optimiser steps of the generator.
        seconds: Wall time of the training.
        config_hash: Of its resolved config.
        mlflow_run: Id; empty where there is none.
        validation_nme: %, of the selected checkpoint; None where not validated.
        nme_N: (N,) NME ratio of every face; NaN where the face's size is undefined, infinite where the prediction
            is.
        keys: N names of the faces, in the order of ``nme_N``.
        extra: Further figures in their own units, name → value, e.g. ``{"FR10 %": 8.7}``; NaN where undefined.
    """

    cell: Cell
    run: str
    steps: int
    seconds: float
    config_hash: str
    mlflow_run: str
    validation_nme: float | None
    nme_N: np.ndarray
    keys: tuple[str, ...]
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def diverged(self) -> bool:
        """Whether it predicts what is no place at all on some face."""
        return bool(np.isinf(self.nme_N).any())


class Group(NamedTuple):
    """Cells that differ in the number of unlabelled faces and the seed only: what a gain is measured within."""

    labelled: int
    method: str
    width: int | None

    @property
    def series(self) -> str:
        """The line it belongs to in a chart: all but the number of labelled faces."""
        return self.method if self.width is None else f"{self.method}, width {self.width}"

    @property
    def label(self) -> str:
        """Its name in tables and sentences."""
        return f"{self.series}, {self.labelled:,} labelled"


@dataclass(frozen=True, eq=False)
class Study:
    """All results of a grid, complete or not.

    Faces undefined in any cell are left out of all of them, so every mean is over the same faces. Cells that
    diverged have no error; they are kept aside, and named wherever their group is spoken of.

    Attributes:
        results: At least one, in any order.
        protocol: What was measured, e.g. ``300w/test · ocular · detector box · no flip``.
        markup: Name of the markup.
        provenance: What ``pipeline.evaluation.provenance.collect`` gives, and what else the caller knows.
        selected_on_test: Whether checkpoints were selected on the measured faces.

    Raises:
        DataError: No result, all diverged, two for one cell, other faces in one of them, or unequal steps within a group; the
            message names the runs.
    """

    results: tuple[CellResult, ...]
    protocol: str
    markup: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    selected_on_test: bool = False

    def __post_init__(self) -> None:
        if not self.results:
            raise DataError("the study has no finished run: there is nothing to compare")
        _check_unique(self.results)
        _check_faces(self.results)
        _check_steps(self.results)
        if len(self.diverged) == len(self.results):
            raise DataError(
                "every run of the study diverged, so none has an error; train again with a smaller learning rate"
            )
        if not self.counted.any():
            raise DataError(
                f"{self.protocol}: no face has a defined NME in every run; choose another normalisation"
            )

    @property
    def diverged(self) -> tuple[CellResult, ...]:
        """Results without an error."""
        return tuple(r for r in self.results if r.diverged)

    @cached_property
    def counted(self) -> np.ndarray:
        """(N,) bool, True for the faces that count: defined in every result that did not diverge."""
        defined = [~np.isnan(r.nme_N) for r in self.results if not r.diverged]
        return np.asarray(np.logical_and.reduce(defined))

    @property
    def faces(self) -> int:
        """Number of faces that count."""
        return int(self.counted.sum())

    @property
    def excluded(self) -> int:
        """Number of faces left out everywhere."""
        return len(self.results[0].keys) - self.faces

    @property
    def groups(self) -> tuple[Group, ...]:
        """Methods in the order of the results, then widths and label budgets, ascending."""
        methods = {r.cell.method: i for i, r in reversed(list(enumerate(self.results)))}
        found = {group_of(r.cell) for r in self.results}
        return tuple(sorted(found, key=lambda g: (methods[g.method], g.width or 0, g.labelled)))

    def of_group(self, group: Group) -> dict[int, dict[int, CellResult]]:
        """Number of unlabelled faces → seed → result, both ascending, without those that diverged."""
        found: dict[int, dict[int, CellResult]] = {}
        for result in sorted(self.results, key=lambda r: (r.cell.unlabelled, r.cell.seed)):
            if group_of(result.cell) == group and not result.diverged:
                found.setdefault(result.cell.unlabelled, {})[result.cell.seed] = result
        return found

    def faces_of(self, result: CellResult) -> np.ndarray:
        """Errors of the faces that count, per cent."""
        return np.asarray(100.0 * result.nme_N[self.counted], dtype=np.float64)

    def error(self, result: CellResult) -> float:
        """Mean NME over the faces that count, per cent."""
        return float(self.faces_of(result).mean())


def group_of(cell: Cell) -> Group:
    """The group a cell belongs to."""
    return Group(cell.labelled, cell.method, cell.width)


def _check_unique(results: Sequence[CellResult]) -> None:
    seen: dict[Cell, CellResult] = {}
    for result in results:
        first = seen.setdefault(result.cell, result)
        if first is not result:
            raise DataError(
                f"two runs for one cell ({result.cell}): {first.run} and {result.run}; leave one of them out"
            )


def _check_faces(results: Sequence[CellResult]) -> None:
    first = results[0]
    if len(set(first.keys)) != len(first.keys):
        raise DataError(f"{first.run}: a face was measured twice; evaluate it again")
    for result in results:
        if result.nme_N.shape != (len(result.keys),):
            raise DataError(
                f"{result.run}: {len(result.keys)} faces but errors of shape {result.nme_N.shape}; "
                "evaluate it again"
            )
        if result.keys != first.keys:
            raise DataError(
                f"{result.run} was not measured on the faces of {first.run} "
                f"({len(result.keys)} and {len(first.keys)} faces, or another order); evaluate both on one set"
            )


def _check_steps(results: Sequence[CellResult]) -> None:
    of_group: dict[Group, CellResult] = {}
    for result in results:
        first = of_group.setdefault(group_of(result.cell), result)
        if first.steps != result.steps:
            raise DataError(
                f"{result.run} was trained for {result.steps:,} steps, {first.run} for {first.steps:,}: their "
                "difference is not the worth of unlabelled faces; give all runs of a group the same steps"
            )
