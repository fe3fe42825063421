"""Trained models in MLflow's registry: registered with an alias that moves only to a better one, and fetched by ``models:/…``."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, TrackingError
from pipeline.training.tracking_store import absolute_uri

SCHEME = "models:/"
_ERROR_TAG = "landmarks.validation_nme"
_SPLIT_TAG = "landmarks.validation_set"
_LISTED = 20


def register(
    uri: str, run_id: str, artifact: str, name: str, alias: str, *, nme: float | None, split: str
) -> tuple[str, bool]:
    """Register a model that a run has logged; running it again for the same run changes nothing.

    Args:
        uri: Tracking address.
        run_id: Of the run that logged it.
        artifact: Its folder among the run's artifacts, e.g. ``models/best``.
        name: Of the registered model.
        alias: Moves to this version if its error is lower than the aliased version's, on the same held-out split.
        nme: Error on the held-out split, %.
        split: Names that split (the manifest's config hash): errors of different splits do not compare.

    Returns:
        The version, and whether it holds the alias now.

    Raises:
        TrackingError: The registry refuses.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient(tracking_uri=absolute_uri(uri))
    try:
        try:
            client.create_registered_model(name)
        except MlflowException as error:  # asking first would leave a gap between two runs that end together
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        known = [v for v in client.search_model_versions(f"name = '{name}'") if v.run_id == run_id]
        if known:
            version = known[0]
        else:
            source = f"{client.get_run(run_id).info.artifact_uri.rstrip('/')}/{artifact}"
            tags = {_SPLIT_TAG: split} | ({} if nme is None else {_ERROR_TAG: repr(nme)})
            version = client.create_model_version(name, source, run_id, tags=tags)
        number = str(version.version)
        holder = _aliased(client, name, alias)
        if holder is not None and str(holder.version) == number:
            return number, True
        if holder is not None and not _better(nme, split, holder.tags):
            return number, False
        client.set_registered_model_alias(name, alias, number)
        return number, True
    except MlflowException as error:
        raise TrackingError(
            f"tracking.register_as = {name}: the registry at {uri} refuses: {error}"
        ) from error


def _aliased(client: Any, name: str, alias: str) -> Any | None:
    # Asking for an alias that does not exist is an error like any other; the model's own list is not.
    version = client.get_registered_model(name).aliases.get(alias)
    return None if version is None else client.get_model_version(name, str(version))


def _better(nme: float | None, split: str, tags: dict[str, str]) -> bool:
    if nme is None or tags.get(_SPLIT_TAG) != split or _ERROR_TAG not in tags:
        return False
    return nme < float(tags[_ERROR_TAG])


def fetch(address: str, uri: str, cache: Path) -> tuple[str, str, str | None]:
    """Bring a registered model here.

    Args:
        address: ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
        uri: Tracking address.
        cache: Where models are kept, a folder per version.

    Returns:
        The model's folder, the id of the run that trained it, and that run's config as YAML, if it logged one.

    Raises:
        DataError: No such model, alias or version; the message says what there is.
        TrackingError: The registry or its artifact store cannot be reached.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient(tracking_uri=absolute_uri(uri))
    name, alias, number = _parts(address)
    try:
        version = _version(client, address, name, alias, number, uri)
        # Another registry, or this one after a model was removed, counts from 1 again: the source makes it this very model.
        digest = hashlib.sha256(f"{absolute_uri(uri)} {version.source}".encode()).hexdigest()[:12]
        folder = cache / name / f"{version.version}-{digest}"
        if not folder.exists():
            cache.mkdir(parents=True, exist_ok=True)
            # Whole or not at all: an interrupted download must not be taken for the model next time.
            with tempfile.TemporaryDirectory(dir=cache, prefix=".download-") as scratch:
                partial = Path(scratch) / "model"  # the scratch folder itself is closed to other users
                partial.mkdir()
                mlflow.artifacts.download_artifacts(
                    artifact_uri=version.source, dst_path=str(partial), tracking_uri=absolute_uri(uri)
                )
                _model_in(partial, address)
                folder.parent.mkdir(parents=True, exist_ok=True)
                try:
                    partial.rename(folder)
                except OSError:
                    if not folder.is_dir():  # else another process has just brought the same
                        raise
        text = None
        if any(entry.path == "config.yaml" for entry in client.list_artifacts(version.run_id)):
            with tempfile.TemporaryDirectory() as scratch:
                path = client.download_artifacts(version.run_id, "config.yaml", scratch)
                text = Path(path).read_text(encoding="utf-8")
        return str(_model_in(folder, address)), str(version.run_id), text
    except (MlflowException, OSError) as error:
        raise TrackingError(f"{address}: cannot be fetched from {uri}: {error}") from error


def _parts(address: str) -> tuple[str, str, str]:
    name, _, alias = address.removeprefix(SCHEME).partition("@")
    number = ""
    if not alias:
        name, _, number = name.rpartition("/")
    if not name or not (alias or number):
        raise DataError(f"{address}: write it as models:/NAME@ALIAS or models:/NAME/VERSION")
    return name, alias, number


def _version(client: Any, address: str, name: str, alias: str, number: str, uri: str) -> Any:
    model = next(iter(client.search_registered_models(f"name = '{name}'")), None)
    if model is None:
        names = sorted(m.name for m in client.search_registered_models(max_results=_LISTED))
        raise DataError(
            f"{address}: no model '{name}' is registered at {uri}, which has: {', '.join(names) or 'none'}; "
            "tracking.register_as registers a run's, MLFLOW_TRACKING_URI names another registry"
        )
    if alias:
        if alias not in model.aliases:
            known = ", ".join(sorted(model.aliases)) or "none"
            raise DataError(f"{address}: model '{name}' has no alias '{alias}'; it has: {known}")
        number = str(model.aliases[alias])
    versions = {str(v.version): v for v in client.search_model_versions(f"name = '{name}'")}
    if number not in versions:
        known = ", ".join(sorted(versions, key=int)) or "none"
        raise DataError(f"{address}: model '{name}' has no version {number}; it has: {known}")
    return versions[number]


def _model_in(folder: Path, address: str) -> Path:
    found = next(iter(sorted(folder.rglob("model.json"))), None)
    if found is None:
        raise DataError(f"{address}: its artifacts hold no model.json; it was not registered by this project")
    return found.parent
