"""Synthetic studies with known truth."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from pipeline.studies.scaling.cells import Cell, CellResult, Study

KEYS = tuple(f"face-{i:03d}" for i in range(60))


def make_result(
    cell: Cell,
    error: float,
    *,
    scatter: float = 0.3,
    extra: dict[str, float] | None = None,
    **changes: object,
) -> CellResult:
    """A training with the given mean NME, %, over faces that vary about it by the factor ``scatter``."""
    hard = np.random.default_rng(0).lognormal(0, 0.4, len(KEYS))
    luck = np.random.default_rng(zlib.crc32(repr(cell).encode())).lognormal(0, scatter, len(KEYS))
    nme = hard * luck
    facts: dict[str, object] = {
        "run": f"{cell.method}-w{cell.width}-l{cell.labelled}-u{cell.unlabelled}-s{cell.seed}",
        "steps": 2260,
        "seconds": 600.0 * (3.4 if cell.unlabelled else 1.0),
        "config_hash": "0123456789abcdef",
        "mlflow_run": "",
        "validation_nme": error * 1.1,
        "nme_N": nme / nme.mean() * error / 100,
        "keys": KEYS,
        "extra": extra or {},
    }
    return CellResult(cell, **{**facts, **changes})  # type: ignore[arg-type]


def make_study(
    error: Callable[[Cell], float],
    *,
    unlabelled: Iterable[int] = (0, 5000, 25_531),
    labelled: Iterable[int] = (157, 1808),
    methods: Iterable[str] = ("LaplaceKL + D",),
    widths: Iterable[int | None] = (None,),
    seeds: int = 3,
    noise: float = 0.1,
    **facts: object,
) -> Study:
    """A full grid: ``error(cell)`` plus noise that differs by training and a shift that each seed has in common."""
    rng = np.random.default_rng(3)
    results = []
    for method in methods:
        for width in widths:
            for few in labelled:
                shifts = rng.normal(0, 2 * noise, seeds)
                for count in unlabelled:
                    for seed in range(seeds):
                        cell = Cell(few, count, method, width, seed)
                        value = error(cell) + shifts[seed] + rng.normal(0, noise)
                        extra = {"pupil %": 1.4 * value, "FR10 %": 3 * value}
                        results.append(make_result(cell, value, extra=extra))
    described = {"protocol": "300w/test · ocular · detector box · no flip", "markup": "ibug68", **facts}
    return Study(tuple(results), **described)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def result() -> Callable[..., CellResult]:
    return make_result


@pytest.fixture(scope="session")
def study() -> Callable[..., Study]:
    return make_study
