"""MLflow, written by the driver alone: it creates the run, and one writer is what a SQLite store can take.

A run's id is kept beside the run (``mlflow.json``), so that a restart goes on in the same MLflow run.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import io
import json
import logging
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from PIL import Image

from pipeline.errors import TrackingError
from pipeline.evaluation import provenance
from pipeline.object_store import ask
from pipeline.shards.manifest import join
from pipeline.storage import absolute, is_local, local_path, open_text, write_text
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.sqlite_store import PREFIX, follow_artifacts
from pipeline.training.tracking_patience import PatientClient
from pipeline.training.tracking_store import absolute_uri

JOB_VARIABLE = "LANDMARKS_JOB_ID"
"""Environment variable: submission id of the Ray job a driver runs in."""

RUN_FILE = "mlflow.json"
"""Beside a run's results: the address and the id of its MLflow run."""
_LOCK_SECONDS = 300


@functools.cache
def _origin() -> dict[str, str]:
    """Who begins runs here, and from which commit, under MLflow's own names; what is unknown is left out."""
    origin: dict[str, str] = {}
    with contextlib.suppress(KeyError, OSError, ImportError):  # a container's user need not have a name
        origin["mlflow.user"] = getpass.getuser()
    code = provenance.commit()
    if code["commit"] is not None:
        origin["mlflow.source.git.commit"] = code["commit"]
    if code["dirty"] is not None:
        origin["mlflow.source.git.dirty"] = str(code["dirty"])
    return origin


def _make_tables(uri: str, artifacts: str) -> None:
    """A SQLite store's folder and tables, which MLflow makes when it is first asked something: one command at a time.

    Raises:
        OSError: It cannot lie there.
    """
    import mlflow

    path = Path(uri.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=_LOCK_SECONDS):
        mlflow.MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
        follow_artifacts(uri, artifacts)


class Tracker:
    """One MLflow run. One that has ended keeps its end, and so its duration, until ``resume`` says that work goes on.

    Args:
        config: Where.
        name: Run name.
        run_folder: Where the run's id is kept.
        parameters: Flat parameters, logged once.
        tags: Set at every start.
        parent: Run this one belongs to: a search's, a study's.
    """

    def __init__(
        self,
        config: TrackingConfig,
        name: str,
        run_folder: str,
        parameters: dict[str, Any],
        tags: dict[str, str],
        parent: str | None = None,
    ) -> None:
        os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
        # The patience is ours: MLflow's waits twice as long each time, and so for minutes after a server is back.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        import mlflow
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        for noisy in ("alembic", "mlflow.store.db.utils", "mlflow.tracking.fluent"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        self.uri = absolute_uri(config.uri)
        if self.uri.startswith("sqlite:///"):
            try:
                _make_tables(self.uri, absolute(config.artifacts))
            except (OSError, MlflowException, SQLAlchemyError, sqlite3.Error) as error:
                raise TrackingError(f"tracking.uri = {config.uri}: {error}") from error
        self._mlflow = mlflow
        self._ended: int | None = None
        try:
            client = mlflow.MlflowClient(tracking_uri=self.uri)
            self.client: Any = PatientClient(client, self.uri)
            self.run_id, created = self._find_or_create(config, name, run_folder)
            if created:
                for start in range(0, len(parameters), 100):
                    chunk = list(parameters.items())[start : start + 100]
                    self.client.log_batch(
                        self.run_id, params=[mlflow.entities.Param(k, str(v)[:6000]) for k, v in chunk]
                    )
            if parent is not None:
                tags = tags | {"mlflow.parentRunId": parent}
            if os.environ.get(JOB_VARIABLE):
                tags = tags | {"landmarks.job": os.environ[JOB_VARIABLE]}
            for key, value in tags.items():
                self.client.set_tag(self.run_id, key, value)
        except (MlflowException, SQLAlchemyError) as error:
            raise TrackingError(f"tracking.uri = {config.uri}: {error}") from error

    def _find_or_create(self, config: TrackingConfig, name: str, run_folder: str) -> tuple[str, bool]:
        from mlflow.exceptions import MlflowException

        url = join(run_folder, RUN_FILE)
        try:
            with open_text(url) as file:
                known = json.load(file)
            if known["uri"] == self.uri or self._has_moved_here(known["run_id"]):
                run = self.client.get_run(known["run_id"])
                # Changes nothing, and is refused for a run that was deleted.
                self.client.update_run(run.info.run_id, status=run.info.status)
                if run.info.status != "RUNNING":
                    self._ended = run.info.end_time
                return run.info.run_id, False
        except FileNotFoundError:
            known = None  # a new run
        except (ValueError, KeyError, TypeError) as error:
            raise TrackingError(
                f"{url}: not the note of an MLflow run ({type(error).__name__}: {error}); remove it to track into a new run"
            ) from error
        except MlflowException as error:
            raise TrackingError(
                f"{url}: its MLflow run cannot be continued ({error}); bring the store back, or remove it to track into a new "
                "run"
            ) from error
        run = self.client.create_run(self._experiment(config), run_name=name, tags=_origin())
        write_text(url, json.dumps({"uri": self.uri, "run_id": run.info.run_id}) + "\n")
        return run.info.run_id, True

    def _has_moved_here(self, run_id: str) -> bool:
        """Whether a run that was tracked elsewhere is in this store: a file that was moved, with its root."""
        from mlflow.exceptions import MlflowException

        if not self.uri.startswith(PREFIX):
            return False
        with contextlib.suppress(MlflowException):
            self.client.get_run(run_id)
            return True
        return False

    def _experiment(self, config: TrackingConfig) -> str:
        """Id of the experiment, made where it is missing."""
        from mlflow.exceptions import MlflowException

        experiment = self.client.get_experiment_by_name(config.experiment)
        if experiment is None:
            # A server has its own artifact store; a SQLite store needs a folder.
            artifacts = absolute(config.artifacts) if self.uri.startswith("sqlite:") else None
            try:
                return str(self.client.create_experiment(config.experiment, artifact_location=artifacts))
            except MlflowException:
                # Another command was first, or it cannot be made at all.
                experiment = self.client.get_experiment_by_name(config.experiment)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == "deleted":
            raise TrackingError(
                f"tracking.experiment = {config.experiment}: was deleted in {self.uri}; bring it back ('mlflow experiments "
                f"restore --experiment-id {experiment.experiment_id}'), or choose another tracking.experiment"
            )
        return str(experiment.experiment_id)

    def metrics(self, values: dict[str, float], step: int) -> None:
        """Log metrics of one step."""
        if not values:
            return
        now = int(time.time() * 1000)
        self.client.log_batch(
            self.run_id,
            metrics=[self._mlflow.entities.Metric(k, float(v), now, step) for k, v in values.items()],
        )

    def image(self, name: str, png: bytes) -> None:
        """Log a PNG as an artifact."""
        with Image.open(io.BytesIO(png)) as opened:
            self.client.log_image(self.run_id, opened.convert("RGB"), name)

    def file(self, url: str, folder: str | None = None) -> None:
        """Log a file, or a folder's files, as artifacts."""
        if is_local(url):
            self._log(local_path(url), folder)
            return
        # MLflow uploads from disk alone.
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / url.rstrip("/").rpartition("/")[2]

            def fetch(store: Any, there: str) -> None:
                shutil.rmtree(path, ignore_errors=True)  # of an attempt before: it would be copied into it
                store.get(there, str(path), recursive=store.isdir(there))

            ask(url, fetch)
            self._log(path, folder)

    def _log(self, path: Path, folder: str | None) -> None:
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), folder)
        else:
            self.client.log_artifact(self.run_id, str(path), folder)

    def has(self, artifact: str) -> bool:
        """Whether the run has an artifact, or a folder of them, of this name."""
        return any(entry.path == artifact for entry in self.client.list_artifacts(self.run_id))

    def text(self, text: str, name: str) -> None:
        """Log a text artifact."""
        self.client.log_text(self.run_id, text, name)

    def resume(self) -> None:
        """Work goes on: the run is under way, and its next end counts."""
        self._ended = None
        self.client.update_run(self.run_id, status="RUNNING")

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """The run ends with the block: FINISHED, or, by an exception, KILLED or FAILED."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):  # Ray Train turns the first into the second
            self.end("KILLED")
            raise
        except BaseException:
            self.end("FAILED")
            raise
        self.end("FINISHED")

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED."""
        self._ended = self._ended or int(time.time() * 1000)
        self.client.set_terminated(self.run_id, status, self._ended)
