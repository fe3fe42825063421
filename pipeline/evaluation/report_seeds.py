"""A report's table of recipes that were trained with several seeds: what of a difference is the seed's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from pipeline.evaluation import headline
from pipeline.evaluation.report_input import RunReport


def over_seeds(runs: Sequence[RunReport], columns: Sequence[headline.Column]) -> dict[str, Any] | None:
    """Mean and standard deviation over the seeds of each recipe; None where no recipe has two.

    A recipe is a config without its name and seed, which provenance states as ``recipe``; a run of unknown config is in none.

    Args:
        runs: Of one protocol.
        columns: To tell, those without a number left out.
    """
    recipes: dict[str, list[RunReport]] = {}
    for run in runs:
        recipe = run.evaluation.provenance.get("recipe")
        if recipe is not None:
            recipes.setdefault(str(recipe), []).append(run)
    several = [group for group in recipes.values() if len({_seed(run) for run in group}) > 1]
    if not several:
        return None
    values = [[run.values for run in group] for group in several]
    shown = [c for c in columns if any(row[c.key] is not None for rows in values for row in rows)]
    return {
        "columns": shown,
        "rows": [
            {
                "name": common_name([run.name for run in group]),
                "seeds": ", ".join(sorted({_seed(run) for run in group}, key=lambda seed: (len(seed), seed))),
                "cells": [_cell([row[c.key] for row in rows], c) for c in shown],
            }
            for group, rows in zip(several, values, strict=True)
        ],
    }


def common_name(names: Sequence[str]) -> str:
    """What the names of one recipe's runs begin with, e.g. ``laplace`` of ``laplace-s0`` and ``laplace-s1``."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    start = "".join(letters[0] for letters in alike)
    for ending in ("-seed", "_seed", "-s", "_s", "-", "_"):
        if start.endswith(ending):
            return start.removesuffix(ending) or " / ".join(names)
    return start or " / ".join(names)


def _seed(run: RunReport) -> str:
    return str(run.evaluation.provenance.get("seed", ""))


def _cell(values: Sequence[float | None], column: headline.Column) -> str:
    known = np.array([value for value in values if value is not None])
    if len(known) < 2:
        return headline.ABSENT
    return f"{column.text(float(known.mean()))} ± {column.text(float(known.std(ddof=1)))}"
