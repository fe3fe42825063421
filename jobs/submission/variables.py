"""The environment of a job: what the user asks for, and what the project itself passes along. Never a secret."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pipeline
from jobs.submission.client import is_loopback
from jobs.submission.secrets import has_credentials, looks_secret
from pipeline.errors import ConfigError
from pipeline.evaluation.provenance import COMMIT_VARIABLE, commit
from pipeline.storage import ROOT_VARIABLE, is_local
from pipeline.training.tracking import JOB_VARIABLE

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_GIVEN = {ROOT_VARIABLE: "use --root", JOB_VARIABLE: "use --id", COMMIT_VARIABLE: "it is found by itself"}
_WHY = (
    "a job's environment can be read by everybody who sees the cluster's dashboard; give the cluster's own processes the secret "
    "instead (on Kubernetes a Secret object in the pods' env)"
)


def asked_for(options: Sequence[str]) -> dict[str, str]:
    """``--env NAME=VALUE`` options as a dictionary.

    Raises:
        ConfigError: Not NAME=VALUE, a secret, or a variable that has its own option.
    """
    found: dict[str, str] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not separator or _NAME.fullmatch(name) is None:
            # Without its value: somebody may have swapped the two sides of a secret.
            raise ConfigError("--env takes NAME=VALUE, a name of letters, digits and _ and then its value")
        if name in _GIVEN:
            raise ConfigError(f"--env {name}: {_GIVEN[name]}")
        if looks_secret(name):
            raise ConfigError(f"--env {name} looks like a secret: {_WHY}")
        if has_credentials(value):
            raise ConfigError(f"--env {name} holds an address with a password: {_WHY}")
        found[name] = value
    return found


def tracking_variable() -> tuple[dict[str, str], str | None]:
    """The submitter's ``MLFLOW_TRACKING_URI`` if a job can use it, and otherwise why it is not passed along."""
    uri = os.environ.get(TRACKING_VARIABLE, "")
    if not uri:
        return {}, None
    if has_credentials(uri):
        return {}, f"{TRACKING_VARIABLE} is not passed along, it holds a password: {_WHY}"
    if uri.startswith("sqlite:") or is_local(uri):
        return {}, f"{TRACKING_VARIABLE} is not passed along: {uri} is a file of this machine"
    return {TRACKING_VARIABLE: uri}, None


def root_variable(option: str | None, address: str, relative: Sequence[str]) -> dict[str, str]:
    """Where relative paths start on the cluster.

    A job runs in an unpacked package that is thrown away afterwards, so what it writes must go elsewhere.

    Args:
        option: ``--root``.
        address: Of the job server: on this machine, relative paths go on meaning what they mean here.
        relative: Relative paths of the request, as ``key = path``.

    Raises:
        ConfigError: There are some, and nothing says where they start.
    """
    root = option or os.environ.get(ROOT_VARIABLE, "")
    if root:
        if is_local(root) and not Path(root).expanduser().is_absolute():
            raise ConfigError(
                f"--root {root}: give an absolute path on the cluster, or the URL of an object store"
            )
        return {ROOT_VARIABLE: root}
    if is_loopback(address):
        return {ROOT_VARIABLE: str(Path.cwd())}
    if relative:
        raise ConfigError(
            f"relative paths ({'; '.join(relative[:6])}) would end in the job's own folder, which is thrown away: say where they "
            "start with --root /shared/FOLDER (storage that every node sees), or make them absolute or URLs"
        )
    return {}


def own_variables(job_id: str) -> dict[str, str]:
    """What the project itself passes along."""
    found = {
        JOB_VARIABLE: job_id,
        "PYTHONUNBUFFERED": "1",
        # A job has no terminal of its own to fit its lines to.
        "COLUMNS": str(shutil.get_terminal_size((120, 24)).columns),
        # As Ctrl-C would on this machine: the run is marked as killed, not as failed. Ray's three seconds are short for it.
        "RAY_JOB_STOP_SIGNAL": "SIGINT",
        "RAY_JOB_STOP_WAIT_TIME_S": "30",
    }
    state = commit()
    # Where the library is not shipped, the cluster's own copy runs, and knows its own commit.
    imported = Path(next(iter(pipeline.__path__))).resolve()
    if state["commit"] and ships_library() and imported == (Path.cwd() / "pipeline").resolve():
        found[COMMIT_VARIABLE] = str(state["commit"]) + ("-dirty" if state["dirty"] else "")
    return found


def ships_library() -> bool:
    """Whether the working directory holds the library itself, which then runs on the cluster."""
    return all((Path.cwd() / file).is_file() for file in ("pipeline/__init__.py", "jobs/cli.py"))
