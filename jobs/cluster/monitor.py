"""A training run on the screen and in MLflow, fed by the workers' events."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from jobs.cluster.board import Relay
from jobs.cluster.progress import Display
from pipeline.training.tracking import Tracker

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
        name: Of the run.
        console: Where to show it.
    """

    def __init__(self, board: Any, tracker: Tracker, name: str, console: Console) -> None:
        self._tracker = tracker
        self._relay = Relay(board, self._handle, lambda _finished: self._display.lines())
        self._latest: dict[str, float] = {}
        self._name, self._console = name, console
        self._display = Display(console)
        self._row = self._display.row(name)
        self._row.update(0, note=figures({}))

    def __enter__(self) -> Monitor:
        self._display.__enter__()
        self._relay.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._relay.__exit__(*error)
        self._display.__exit__(*error)

    @property
    def problem(self) -> Exception | None:
        """What kept events from being shown or tracked, if anything."""
        return self._relay.problem

    def _handle(self, event: dict[str, Any]) -> None:
        if "metrics" not in event:
            return
        for complaint in event.get("complaints", ()):
            self._console.print(
                f"{self._name}, step {event['step']}: {complaint}",
                style="yellow",
                markup=False,
                highlight=False,
            )
        self._latest |= event["metrics"]
        self._row.update(event["step"], total=event["steps"], note=figures(self._latest))
        track(self._tracker, event)
