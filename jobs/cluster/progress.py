"""Progress of long work, shown one way: live bars on a terminal, the same words as plain lines now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

SECONDS_BETWEEN_LINES = 15.0
_RATE_SECONDS = 120.0
"""The rate, and with it the time left, is that of so many last seconds: a start or a pause long ago says nothing."""


class Row:
    """One piece of work in a display."""

    def __init__(self, bars: Progress, label: str, total: float | None, done: int, unit: str) -> None:
        self._bars = bars
        self._task = bars.add_task(
            label, total=total, completed=done, unit=unit, note="", changed=False, before=done
        )
        self.done: float = done

    def update(self, done: float, *, total: float | None = None, note: str = "") -> None:
        """Say how far it is, and what else is worth knowing."""
        self.done = done
        self._bars.update(self._task, completed=done, total=total, note=note, changed=True)

    def remove(self) -> None:
        """Show it no more."""
        self._bars.remove_task(self._task)


class Display:
    """Rows of progress, shown within the block.

    Args:
        console: Where; plain lines if it is no terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            _Words(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=_RATE_SECONDS,
        )
        self._last_lines = time.monotonic()

    def __enter__(self) -> Display:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
        self._print_lines()

    def row(self, label: str, total: float | None = None, done: int = 0, unit: str = "steps") -> Row:
        """Another piece of work.

        Args:
            label: What is being done.
            total: Units of it altogether; None while that is not known.
            done: Units an earlier command has finished.
            unit: Name of the unit.
        """
        return Row(self._bars, label, total, done, unit)

    def lines(self) -> None:
        """Print a plain line for each row that has news, if it is time and there is no terminal."""
        if time.monotonic() - self._last_lines >= SECONDS_BETWEEN_LINES:
            self._print_lines()

    def _print_lines(self) -> None:
        if self._console.is_terminal:
            return
        self._last_lines = time.monotonic()
        for task in self._bars.tasks:
            if task.fields["changed"]:
                self._bars.update(task.id, changed=False)
                self._console.print(
                    f"{task.description}: {_words(task)}", highlight=False, soft_wrap=True, markup=False
                )


class _Words(ProgressColumn):
    def render(self, task: Task) -> Text:
        """What a plain line says, too."""
        return Text(_words(task))


def _words(task: Task) -> str:
    """``12/50 steps · loss 1.33 · 3.2/s · 0:00:12 left``, as far as it is known."""
    words = [task.fields["note"]]
    if task.total is not None:
        words = [f"{_count(task.completed)}/{_count(task.total)} {task.fields['unit']}", *words]
    if speed := _speed(task):
        words.append(_rate(speed))
        if task.time_remaining is not None and not task.finished:
            words.append(f"{timedelta(seconds=int(task.time_remaining))} left")
    return " · ".join(filter(None, words))


def _speed(task: Task) -> float | None:
    """Units a second: of late, or, of what is finished, on the whole: a few that were done in one go say nothing of a rate."""
    if not task.finished:
        return task.speed
    return (task.completed - task.fields["before"]) / max(task.finished_time or 0.0, 1e-3)


def _count(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _rate(per_second: float) -> str:
    for factor, unit in ((1, "s"), (60, "min")):
        if per_second * factor >= 1:
            return f"{per_second * factor:,.0f}/{unit}"
    return f"{per_second * 3600:.1f}/h"


class Advance(Protocol):
    """Reports that ``count`` more are done; ``note`` says what else is worth knowing."""

    def __call__(self, count: int, note: str = "") -> None:
        """Called in the job's loop."""


@contextmanager
def progress(label: str, total: int, done: int = 0, unit: str = "images") -> Iterator[Advance]:
    """Show the progress of one loop on standard error; the arguments are those of ``Display.row``."""
    with Display(Console(stderr=True)) as display:
        row = display.row(label, total, done, unit)

        def advance(count: int, note: str = "") -> None:
            row.update(row.done + count, note=note)
            display.lines()

        yield advance
