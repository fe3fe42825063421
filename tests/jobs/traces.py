"""What a training wrote down step by step: the faces it saw and the losses they gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.storage import read_text


def entries(run: str | Path, rank: int = 0) -> list[dict[str, Any]]:
    """All there are of a run's folder, here or in a store, in the order written; none before the first."""
    # The last line may be under way.
    whole = (read_text(f"{run}/trace/rank{rank}.jsonl") or "").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def trace(run: str | Path, rank: int = 0) -> list[dict[str, Any]]:
    """The last entry of each step: a resumed run repeats the steps after its checkpoint."""
    last = {entry["step"]: entry for entry in entries(run, rank)}
    assert last, f"{run}: rank {rank} left no trace"
    return [last[step] for step in sorted(last)]
