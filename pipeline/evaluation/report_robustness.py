"""A report's table of harder images beside the images as they are, in the columns of Yan et al. (2021), table 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.evaluation import headline
from pipeline.evaluation.protocol import Evaluation
from pipeline.evaluation.report_input import RunReport

COLUMNS = (
    "NME",
    "more than as they are",
    "FR₁₀, faces",
    "FR₁₀, landmarks",
    "FR₁₅, landmarks",
    "FR₂₀, landmarks",
)


def perturbed_name(run: str, perturbation: str | None) -> str:
    """What a run is called: a report has it once with its own name, and once more with the name of each perturbation."""
    return run if perturbation is None else f"{run}-{perturbation}"


def robustness(runs: Sequence[RunReport]) -> list[dict[str, Any]]:
    """Rows by perturbation, in each the runs in their order; empty where no run was measured on harder images.

    Args:
        runs: Of all protocols; those that differ in nothing but the perturbation stand together.
    """
    plain = {_key(run.evaluation): run for run in runs if run.evaluation.protocol.perturbation is None}
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        perturbation = run.evaluation.protocol.perturbation
        if perturbation is None:
            continue
        as_is = plain.get(_key(run.evaluation))
        rows = found.setdefault(perturbation, [])
        rows.append({"name": run.name, "cells": _cells(run.evaluation, as_is.evaluation if as_is else None)})
    if found:
        asis = [{"name": run.name, "cells": _cells(run.evaluation, None)} for run in plain.values()]
        found = {"as they are": asis, **found}
    return [{"what": what.replace("-", " "), "rows": rows} for what, rows in found.items()]


def _key(evaluation: Evaluation) -> tuple[str, str]:
    """The same for a run's measurements that differ in the perturbation alone."""
    protocol = evaluation.protocol
    as_is = protocol.model_copy(update={"perturbation": None})
    return evaluation.run.removesuffix(perturbed_name("", protocol.perturbation)), as_is.name


def _cells(evaluation: Evaluation, as_is: Evaluation | None) -> list[str]:
    errors = evaluation.headline
    more = None
    if as_is is not None and errors.nme is not None and as_is.headline.nme is not None:
        more = errors.nme - as_is.headline.nme
    rates = [errors.failure_rate["10"], *(errors.landmark_failure_rate[t] for t in ("10", "15", "20"))]
    told = [headline.ABSENT if value is None else f"{value:.2f}" for value in (errors.nme, *rates)]
    return [told[0], headline.ABSENT if more is None else f"{more:+.2f}".replace("-", "−"), *told[1:]]
