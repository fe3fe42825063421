"""The store that runs are tracked in: its address, and whether it can be used, found out before anything is started."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request

from pipeline.errors import TrackingError
from pipeline.storage import ROOT_VARIABLE, absolute, is_local
from pipeline.training.config.experiment import TrackingConfig
from pipeline.training.sqlite_store import PREFIX, check_file

# MLflow answers /health under any host name: only its API says whether this one is allowed.
_PROBE = "/api/2.0/mlflow/experiments/search?max_results=1"
_PROBE_SECONDS = 5


def absolute_uri(uri: str) -> str:
    """A SQLite address with an absolute path; other addresses as they are.

    Raises:
        TrackingError: A relative path, which starts at ``LANDMARKS_ROOT``, and that is an object store.
    """
    if not uri.startswith(PREFIX) or uri.startswith(f"{PREFIX}/"):
        return uri
    path = absolute(uri.removeprefix(PREFIX))
    if not is_local(path):
        raise TrackingError(
            f"tracking.uri = {uri}: relative paths start at {ROOT_VARIABLE}, which is an object store here ({path}), and a "
            "SQLite file cannot live in one; set MLFLOW_TRACKING_URI or tracking.uri to an MLflow server, or to sqlite:////ABSOLUTE/FILE"
        )
    return PREFIX + path


def check_store(config: TrackingConfig) -> None:
    """Fail in seconds, before anything is started, when the store cannot be used.

    Raises:
        TrackingError: No server answers at the address, the scheme is none MLflow can use, or a file cannot be used.
    """
    uri = absolute_uri(config.uri)
    if uri.startswith(PREFIX):
        check_file(uri, absolute(config.artifacts))
    elif config.uri.startswith(("http://", "https://")):
        parts = urllib.parse.urlsplit(config.uri)
        if parts.username is not None:
            # Nor is it repeated here: a config is printed, stored with the run and sent to workers.
            raise TrackingError(
                f"tracking.uri: the address of {parts.hostname} holds a user or password; give them as "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        try:
            with urllib.request.urlopen(f"{config.uri.rstrip('/')}{_PROBE}", timeout=_PROBE_SECONDS):
                return
        except urllib.error.HTTPError as error:
            if error.code == 403 and b"Invalid Host" in error.read(200):
                raise TrackingError(
                    f"tracking.uri = {config.uri}: the MLflow server refuses this host name (403); start it with "
                    "--allowed-hosts naming it, port included"
                ) from error
            # 404: an older server has another API, but it is there; 401: it is, and MLflow's client brings the password.
            if error.code not in {401, 404}:
                raise TrackingError(
                    f"tracking.uri = {config.uri}: the MLflow server answers {error.code}"
                ) from error
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise TrackingError(
                f"tracking.uri = {config.uri}: no MLflow server answers there ({reason}); start one, correct the address, or "
                "track into a file with tracking.uri=sqlite:///outputs/mlflow.db"
            ) from error
    elif not config.uri.startswith(("sqlite:///", "postgresql", "mysql", "databricks")):
        raise TrackingError(
            f"tracking.uri = {config.uri}: MLflow 3 takes sqlite:///FILE or the http(s) address of a server, not a folder"
        )
