"""Findings are listed, but not by the thousand."""

from __future__ import annotations

from pipeline.shards.findings import Findings


def test_many_of_a_kind_are_summed_up_per_file():
    findings = Findings()
    for index in range(25):
        findings.add("error", "a.tar", f"sample {index}", "fix", "K")
    findings.add("error", "b.tar", "sample 0", "fix", "K")
    findings.add("warning", "a.tar", "other", "fix")
    closed = findings.close()
    assert sum(f.file == "a.tar" and f.severity == "error" for f in closed) == 10
    assert any(f.file == "b.tar" for f in closed)
    assert closed[-1].message == "15 more of the kind 'K'"
    assert str(closed[0]) == "error: a.tar: sample 0; fix"
