"""A training run on the screen and in MLflow, fed by the workers' events."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from jobs.cluster.board import Relay
from pipeline.training.tracking import Tracker

PLAIN_LINE_SECONDS = 15.0
_FIGURES = (
    ("train/loss", "loss", "{:.3f}"),
    ("validation/nme", "val NME", "{:.2f} %"),
    ("train/images_per_second", "labelled", "{:.0f}/s"),
    ("train/unlabelled_images_per_second", "unlabelled", "{:.0f}/s"),
    ("train/data_wait_share", "data wait", "{:.0%}"),
)


def track(tracker: Tracker, event: dict[str, Any]) -> None:
    """Log what an event carries."""
    tracker.metrics(event["metrics"], event["step"])
    for name, png in event.get("images", {}).items():
        tracker.image(f"images/step-{event['step']:07d}-{name}", png)


def figures(latest: dict[str, float]) -> str:
    """A run's latest figures in one line."""
    shown = [f"{label} {form.format(latest[key])}" for key, label, form in _FIGURES if key in latest]
    return " · ".join(shown) or "starting workers …"


class Monitor:
    """Shows a run's progress and logs its metrics while the trainer's call blocks.

    Args:
        board: Board actor.
        tracker: MLflow run.
        name: Of the run, shown beside the bar.
        console: Where to draw; plain lines when it is no terminal.
    """

    def __init__(self, board: Any, tracker: Tracker, name: str, console: Console) -> None:
        self._tracker, self._name, self._console = tracker, name, console
        self._relay = Relay(board, self._handle, self._tick)
        self._latest: dict[str, float] = {}
        self._last_line = 0.0
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task(name, total=None, figures=figures({}))

    def __enter__(self) -> Monitor:
        self._progress.start()
        self._relay.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._relay.__exit__()
        self._progress.stop()

    @property
    def problem(self) -> Exception | None:
        """What kept events from being shown or tracked, if anything."""
        return self._relay.problem

    def _handle(self, event: dict[str, Any]) -> None:
        if "metrics" not in event:
            return
        for complaint in event.get("complaints", ()):
            self._progress.console.print(
                f"{self._name}, step {event['step']}: {complaint}",
                style="yellow",
                markup=False,
                highlight=False,
            )
        self._latest |= event["metrics"]
        self._progress.update(
            self._task, completed=event["step"], total=event["steps"], figures=figures(self._latest)
        )
        track(self._tracker, event)

    def _tick(self, finished: bool) -> None:
        now = self._progress.get_time()
        due = now - self._last_line > PLAIN_LINE_SECONDS or finished
        if self._console.is_terminal or not self._latest or not due:
            return
        self._last_line = now
        state = self._progress.tasks[0]
        rate = self._latest.get("train/steps_per_second")
        left = f" · {(state.total - state.completed) / rate:.0f} s left" if rate and state.total else ""
        self._console.print(
            f"{self._name}: step {state.completed:.0f}/{state.total or 0:.0f} · {figures(self._latest)}{left}"
        )
