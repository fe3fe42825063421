"""A report's section on groups of faces: every run's error on each, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluation import headline
from pipeline.evaluation.groups import GroupSummary
from pipeline.evaluation.inline import themed
from pipeline.evaluation.plots.groups import group_figure
from pipeline.evaluation.report_images import placed
from pipeline.evaluation.report_input import RunReport

Key = tuple[str, str]


def groups_section(runs: Sequence[RunReport], places: Mapping[str, int]) -> dict[str, Any] | None:
    """The section of runs under one protocol; None where their set tells no faces apart.

    Args:
        runs: Runs of one protocol.
        places: Run name → its index in the whole report, which gives its colour.
    """
    by_run = {run.name: {(g.by, g.name): g for g in run.evaluation.groups} for run in runs}
    keys = list(dict.fromkeys(key for groups in by_run.values() for key in groups))
    if not keys:
        return None
    shown = {name: groups for name, groups in by_run.items() if groups}
    return {
        "runs": list(by_run),
        "sections": [
            {"by": by, "rows": [_row(key, by_run) for key in keys if key[0] == by]}
            for by in dict.fromkeys(by for by, _ in keys)
        ],
        "alt": f"Mean error on each group of faces of {', '.join(shown)}, with intervals; the numbers are in the table.",
        **themed(lambda theme: group_figure(keys, shown, theme=placed(theme, shown, places))),
    }


def _row(key: Key, by_run: Mapping[str, Mapping[Key, GroupSummary]]) -> dict[str, Any]:
    groups = [groups.get(key) for groups in by_run.values()]
    faces = dict.fromkeys(f"{group.faces:,}" for group in groups if group is not None)
    return {"name": key[1], "faces": " / ".join(faces), "cells": [_cell(group) for group in groups]}


def _cell(group: GroupSummary | None) -> tuple[str, str]:
    if group is None:
        return headline.ABSENT, ""
    rate = group.failure_rate.get("10")
    told = [] if group.interval is None else [f"{group.interval[0]:.2f} to {group.interval[1]:.2f}"]
    return f"{group.nme:.2f}", " · ".join(told + ([] if rate is None else [f"FR₁₀ {rate:.1f}"]))
