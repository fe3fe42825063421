"""Progress of long jobs: a live bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    """Reports that ``count`` more are done; ``note`` says what else is worth knowing."""

    def __call__(self, count: int, note: str = "") -> None:
        """Called in the job's loop."""


class _Bar:
    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task
        self._start, self._done = time.monotonic(), 0

    def __call__(self, count: int, note: str = "") -> None:
        self._done += count
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        self._progress.update(self._task, advance=count, rate=f"{rate:.0f}/s", note=note)


class _Lines:
    def __init__(self, console: Console, label: str, total: int, done: int, unit: str) -> None:
        self._console, self._label, self._unit = console, label, unit
        self._total, self._before, self._done = total, done, done
        self._start = self._last = time.monotonic()

    def __call__(self, count: int, note: str = "") -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES and self._done < self._total:
            return
        self._last = now
        rate = (self._done - self._before) / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate else float("inf")
        self._console.print(
            f"{self._label}: {self._done}/{self._total} {self._unit}, {rate:.0f}/s, {left:.0f} s left"
            + (f", {note}" if note else ""),
            highlight=False,
            soft_wrap=True,
        )


@contextmanager
def progress(label: str, total: int, done: int = 0, unit: str = "images") -> Iterator[Advance]:
    """Show the progress of a job on standard error.

    Args:
        label: What is being done.
        total: Units of work altogether.
        done: Units an earlier run has finished.
        unit: Name of the unit.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, label, total, done, unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar(bar, bar.add_task(label, total=total, completed=done, rate="", note=""))
