"""Where rank 0 leaves what the driver shows and tracks: one small actor, so that workers need no tracker and no terminal."""

from __future__ import annotations

import threading
from typing import Any

import ray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.training.tracking import Tracker

POLL_SECONDS = 0.5
PLAIN_LINE_SECONDS = 15.0


class Board:
    """Holds events until the driver takes them."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []

    def push(self, event: dict[str, Any]) -> None:
        """Add an event."""
        self._events.append(event)

    def take(self) -> list[dict[str, Any]]:
        """Take all events, oldest first."""
        events, self._events = self._events, []
        return events


class Monitor:
    """Shows a run's progress and logs its metrics, in a thread beside the trainer's blocking call.

    Args:
        board: Board actor.
        tracker: MLflow run.
        name: Of the run, shown beside the bar.
        console: Where to draw; plain lines when it is no terminal.
    """

    def __init__(self, board: Any, tracker: Tracker, name: str, console: Console) -> None:
        self._board, self._tracker, self._name, self._console = board, tracker, name, console
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._latest: dict[str, float] = {}
        self.problem: Exception | None = None

    def __enter__(self) -> Monitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, disable=not self._console.is_terminal) as progress:
            task = progress.add_task(self._name, total=None, figures="starting workers …", visible=True)
            last_line = 0.0
            while True:
                finished = self._stop.is_set()
                try:
                    for event in ray.get(self._board.take.remote(), timeout=30):
                        self._handle(event, progress, task)
                except Exception as error:  # the run itself goes on; its end reports the problem
                    self.problem = error
                now = progress.get_time()
                if (
                    not self._console.is_terminal
                    and self._latest
                    and (now - last_line > PLAIN_LINE_SECONDS or finished)
                ):
                    last_line = now
                    self._print_line(progress, task)
                if finished:
                    return
                self._stop.wait(POLL_SECONDS)

    def _handle(self, event: dict[str, Any], progress: Progress, task: Any) -> None:
        self._latest |= event["metrics"]
        progress.update(task, completed=event["step"], total=event["steps"], figures=self.figures())
        self._tracker.metrics(event["metrics"], event["step"])
        for name, png in event.get("pictures", {}).items():
            self._tracker.picture(f"pictures/step-{event['step']:07d}-{name}", png)

    def _print_line(self, progress: Progress, task: Any) -> None:
        state = progress.tasks[task]
        remaining = ""
        rate = self._latest.get("train/steps_per_second")
        if rate and state.total:
            remaining = f" · {(state.total - state.completed) / rate:.0f} s left"
        self._console.print(
            f"{self._name}: step {state.completed:.0f}/{state.total or 0:.0f} · {self.figures()}{remaining}"
        )

    def figures(self) -> str:
        """The latest figures in one line."""
        shown = []
        for key, label, form in (
            ("train/loss", "loss", "{:.3f}"),
            ("validation/nme", "val NME", "{:.2f} %"),
            ("train/images_per_second", "labelled", "{:.0f}/s"),
            ("train/unlabelled_images_per_second", "unlabelled", "{:.0f}/s"),
            ("train/data_wait_share", "data wait", "{:.0%}"),
        ):
            if key in self._latest:
                shown.append(f"{label} {form.format(self._latest[key])}")
        return " · ".join(shown) or "starting workers …"
