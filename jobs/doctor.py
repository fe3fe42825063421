"""``landmarks doctor``: whether a machine, or each node of a cluster, can do what a config asks, and what to do where not."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.health.finding import Finding, Level
from jobs.health.here import examine
from jobs.tables import folding
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.words import counted

_WORDS = {
    Level.OK: ("ok", "green"),
    Level.WARNING: ("warning", "yellow"),
    Level.FAILURE: ("failure", "bold red"),
}


def doctor(config: ExperimentConfig | None, console: Console | None = None, *, as_json: bool = False) -> int:
    """Examine this machine, or all nodes of the cluster that ``RAY_ADDRESS`` names, and print what was found.

    Args:
        config: Of the run that is to work; None looks at machines alone.
        console: Where to print.
        as_json: Print one JSON object for programs in place of tables for people.

    Returns:
        Exit code: 0 where nothing keeps a run from working, else 1.

    Raises:
        ClusterError: No cluster answers.
    """
    console = console or Console()
    if os.environ.get("RAY_ADDRESS"):
        from jobs.health.cluster import examine_cluster

        by_place = examine_cluster(config)
    else:
        by_place = {"this machine": examine(config)}
    worst = max(finding.level for findings in by_place.values() for finding in findings)
    if as_json:
        found = [
            {"place": place, **asdict(finding), "level": _WORDS[finding.level][0]}
            for place, findings in by_place.items()
            for finding in findings
        ]
        print(json.dumps({"ok": worst is not Level.FAILURE, "findings": found}, ensure_ascii=False))
        return int(worst is Level.FAILURE)
    for place, findings in by_place.items():
        console.print(_table(place, findings))
    counts = [
        sum(f.level is level for fs in by_place.values() for f in fs)
        for level in (Level.FAILURE, Level.WARNING)
    ]
    console.print(f"{counted(counts[0], 'failure')}, {counted(counts[1], 'warning')}", highlight=False)
    return int(worst is Level.FAILURE)


def _table(place: str, findings: Sequence[Finding]) -> Table:
    columns = ("level", "about", "seen and remedy")
    table = folding(*columns, title=place, title_justify="left", box=None, pad_edge=False, show_header=False)
    for finding in findings:
        word, style = _WORDS[finding.level]
        text = f"{finding.seen}\n→ {finding.remedy}" if finding.remedy else finding.seen
        table.add_row(Text(word, style), Text(finding.about), Text(text))
    return table


if __name__ == "__main__":
    from jobs.cli import main

    main("doctor")
