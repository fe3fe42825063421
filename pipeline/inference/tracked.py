"""The MLflow run of a trained model, looked at again: its curves, and the numbers measured since."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pipeline.errors import TrackingError
from pipeline.evaluation import protocol
from pipeline.evaluation.protocol import Evaluation
from pipeline.shards.manifest import join
from pipeline.storage import read_text
from pipeline.training.tracking import RUN_FILE

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

    def _client(self) -> Any:
        import mlflow

        return mlflow.MlflowClient(tracking_uri=self.uri)

    def curves(self) -> dict[str, tuple[list[float], list[float]]]:
        """Training curves by what they show: steps, values."""
        client = self._client()
        found: dict[str, tuple[list[float], list[float]]] = {}
        for key, label in _CURVES:
            # A restart logs the steps since its checkpoint again; the last value of a step counts.
            points = {m.step: m.value for m in client.get_metric_history(self.run_id, key)}
            if points:
                found[label] = ([float(s) for s in sorted(points)], [points[s] for s in sorted(points)])
        return found

    def log(self, evaluation: Evaluation, step: int) -> None:
        """Add what was measured on a set, as metrics of a step and as a file.

        Raises:
            TrackingError: The store refuses.
        """
        from mlflow.exceptions import MlflowException

        client, measured = self._client(), evaluation.protocol
        try:
            for name, summary in evaluation.errors.items():
                if summary.nme is not None:
                    key = f"{measured.split}/{measured.dataset}/nme_{name}"
                    client.log_metric(self.run_id, key, summary.nme, step=step)
            client.log_text(self.run_id, protocol.dump(evaluation), f"evaluation/{measured.dataset}.json")
        except MlflowException as error:
            raise TrackingError(str(error)) from error


def tracked_run(run_folder: str) -> TrackedRun | None:
    """The MLflow run that a training has noted beside its results; None without one."""
    text = read_text(join(run_folder, RUN_FILE))
    if text is None:
        return None
    known = json.loads(text)
    return TrackedRun(known["uri"], known["run_id"])
