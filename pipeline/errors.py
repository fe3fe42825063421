"""Errors a user can act on. Each message names the file or field and the remedy; the command line prints it without a trace."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable


class LandmarkError(Exception):
    """Base of every error this project raises on purpose."""


class ConfigError(LandmarkError):
    """A configuration that cannot work: unknown key, wrong type, impossible combination."""


class DataError(LandmarkError):
    """An input image, annotation or folder that cannot be used."""


class ManifestError(LandmarkError):
    """A manifest that is missing, of another version, or at odds with its shards."""


class ShardError(LandmarkError):
    """A tar that is truncated, altered or malformed."""


class StorageError(LandmarkError):
    """A disk or object store that refused a write: full, read-only, unreachable."""


class OwnedError(LandmarkError):
    """A folder that another process works in."""


class ClusterError(LandmarkError):
    """Ray cannot be started or joined."""


class TrackingError(LandmarkError):
    """An MLflow store that cannot be reached or used."""


class TrainingError(LandmarkError):
    """Training cannot go on: non-finite loss, too many bad samples, inconsistent resume."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote ``name`` may have meant; None where none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``nearest`` as the beginning of a sentence, with the space after it; empty where none is near."""
    near = nearest(name, known)
    return f"did you mean '{near}'? " if near else ""


def frames(error: BaseException) -> list[str]:
    """Files through which an error came, outermost first."""
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]


def told(error: BaseException) -> str:
    """An error of somebody else's code in one line: what it is, what it says, and where it was raised."""
    raised = traceback.extract_tb(error.__traceback__)
    place = f" ({raised[-1].filename}, line {raised[-1].lineno})" if raised else ""
    return f"{type(error).__name__}: {error}{place}"
