"""A SQLite file as MLflow's store: found unusable before anything is started, and followed to where it was moved."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.errors import TrackingError
from pipeline.storage import is_local, local_path

PREFIX = "sqlite:///"
_MAGIC = b"SQLite format 3\0"
_LOCK_SECONDS = 5.0  # another command writes for milliseconds
_ODD = "%?#"


def check_file(uri: str, artifacts: str) -> None:
    """Look at the file as its first writer will.

    Args:
        uri: With an absolute path; the file need not be there yet.
        artifacts: Absolute folder of artifacts.

    Raises:
        TrackingError: A path that MLflow would read as another, no data base, one that somebody keeps locked, or one that cannot
            be written.
    """
    path = Path(uri.removeprefix(PREFIX))
    for place in (str(path), artifacts):
        odd = next((character for character in place if character in _ODD), None)
        if odd is not None:
            raise TrackingError(
                f"tracking: the path {place} holds '{odd}', which MLflow takes for part of an address and would write elsewhere: "
                "choose another folder, or set tracking.uri and tracking.artifacts to paths without it"
            )
    if not path.is_file() or path.stat().st_size == 0:
        return
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise TrackingError(
                    f"tracking.uri = {uri}: {path} is no SQLite file, or a damaged one; bring it back, or track into another file"
                )
        with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # as whoever is about to write
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("ROLLBACK")
    except (OSError, sqlite3.Error) as error:
        raise TrackingError(
            f"tracking.uri = {uri}: cannot be written ({error}); if another process keeps it open, end that, or track into "
            "another file"
        ) from error


def follow_artifacts(uri: str, artifacts: str) -> None:
    """Let a store that was moved with its artifacts find them: MLflow keeps their absolute paths.

    Only where the old folder is gone and the new one is there, both local.

    Args:
        uri: Of the store, which has its tables.
        artifacts: Absolute folder where its artifacts are now.
    """
    path = Path(uri.removeprefix(PREFIX))
    if not is_local(artifacts) or not local_path(artifacts).is_dir():
        return
    new = str(local_path(artifacts))
    with closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as connection, connection:
        known = connection.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        for (old,) in known:
            if old is None or not is_local(old) or local_path(old).exists() or _name(old) != _name(new):
                continue
            for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR {column} LIKE ? || '/%'",
                    (new, len(old) + 1, old, old),
                )


def _name(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[2]
