"""Nothing of a value is lost, however narrow the terminal."""

from __future__ import annotations

import io

from rich.console import Console

from jobs.tables import facts


def test_long_values_are_folded_and_brackets_are_kept():
    rows = {"run": "/a/very/long/folder/" + "x" * 200, "set": "faces[0]"}
    for width in (40, 80, 200):
        console = Console(file=io.StringIO(), width=width)
        console.print(facts(rows))
        printed = console.file.getvalue()
        assert "…" not in printed
        joined = "".join(printed.split())
        assert rows["run"] in joined
        assert rows["set"] in joined
