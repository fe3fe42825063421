"""The MLflow run of a trained model, looked at again: its curves, and the numbers measured since."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import TrackingError
from pipeline.evaluation import protocol
from pipeline.evaluation.protocol import Evaluation
from pipeline.shards.manifest import join
from pipeline.storage import read_text
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.tracking import RUN_FILE
from pipeline.training.tracking_store import check_store

_CURVES = (
    ("train/loss", "training loss"),
    ("validation/nme", "validation NME, %"),
    ("validation/scatter", "validation scatter, px"),
)


@dataclass(frozen=True)
class TrackedRun:
    """A run in an MLflow store.

    Attributes:
        uri: Tracking address.
        run_id: MLflow's.
    """

    uri: str
    run_id: str

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """A client of the store; what MLflow refuses within the block is a ``TrackingError``."""
        import mlflow
        from mlflow.exceptions import MlflowException

        check_store(TrackingConfig(uri=self.uri))
        file = self.uri.removeprefix("sqlite:///")
        if file != self.uri and not Path(file).is_file():
            raise TrackingError(f"{self.uri}: no such file any more")  # MLflow would make an empty one
        try:
            yield mlflow.MlflowClient(tracking_uri=self.uri)
        except MlflowException as error:
            raise TrackingError(str(error)) from error

    def curves(self) -> dict[str, tuple[list[float], list[float]]]:
        """Training curves by what they show: steps, values.

        Raises:
            TrackingError: The store is gone, or refuses.
        """
        found: dict[str, tuple[list[float], list[float]]] = {}
        with self._opened() as client:
            for key, label in _CURVES:
                points = self._history(client, key)
                if points:
                    found[label] = ([float(step) for step in points], list(points.values()))
        return found

    def history(self, metric: str) -> dict[int, float]:
        """Step → value of a metric, in order of the steps; nothing of one that was never logged.

        Raises:
            TrackingError: The store is gone, or refuses.
        """
        with self._opened() as client:
            return self._history(client, metric)

    def _history(self, client: Any, metric: str) -> dict[int, float]:
        # A restart logs the steps since its checkpoint again; the last value of a step counts.
        points = {m.step: m.value for m in client.get_metric_history(self.run_id, metric)}
        return dict(sorted(points.items()))

    def log(self, evaluation: Evaluation, step: int) -> None:
        """Add what was measured on a set, as metrics of a step and as a file.

        Raises:
            TrackingError: The store is gone, or refuses.
        """
        measured = evaluation.protocol
        what = "-".join(part for part in (measured.dataset, measured.variant) if part)
        with self._opened() as client:
            for name, summary in evaluation.errors.items():
                if summary.nme is not None:
                    key = f"{measured.split}/{what}/nme_{name}"
                    client.log_metric(self.run_id, key, summary.nme, step=step)
            client.log_text(self.run_id, protocol.dump(evaluation), f"evaluation/{what}.json")


def tracked_run(run_folder: str) -> TrackedRun | None:
    """The MLflow run that a training has noted beside its results; None without one."""
    text = read_text(join(run_folder, RUN_FILE))
    if text is None:
        return None
    known = json.loads(text)
    return TrackedRun(known["uri"], known["run_id"])
