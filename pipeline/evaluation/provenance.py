"""The provenance of a number: code, configuration, seed, versions and hardware. No host or user names."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.plain import flatten

PACKAGES: tuple[str, ...] = (
    "torch",
    "torchvision",
    "ray",
    "deepspeed",
    "webdataset",
    "mlflow",
    "optuna",
    "numpy",
    "pillow",
)
"""Those whose version can move a result."""

COMMIT_VARIABLE = "LANDMARKS_COMMIT"
"""Names the commit where there is no repository, e.g. in a container image."""

ABSENT = "–"
"""Stands where nothing is known."""

_HERE = Path(__file__).resolve()


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(_HERE.parent), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def commit() -> dict[str, Any]:
    """The code's commit and whether tracked files differ from it; None and None where that is unknown."""
    # An installed copy may lie inside somebody else's repository: only one that tracks this very file counts.
    if _git("ls-files", "--error-unmatch", _HERE.name) is None:
        return {"commit": os.environ.get(COMMIT_VARIABLE) or None, "dirty": None}
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": _git("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}


def versions() -> dict[str, str]:
    """Python's and the installed packages' versions; packages that are absent are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """CPU model, usable cores and, if torch is already imported, GPU names."""
    affinity = getattr(os, "sched_getaffinity", None)
    # Importing torch only to describe the machine would cost seconds; whoever computed on a GPU has imported
    # it.
    torch = sys.modules.get("torch")
    gpus = []
    if torch is not None and torch.cuda.is_available():
        gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {"cpu": _cpu_model(), "cores": len(affinity(0)) if affinity else os.cpu_count(), "gpus": gpus}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else (platform.processor() or platform.machine())


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """What was collected as text, for a table.

    Args:
        values: Nested, e.g. of ``collect``.
        prefix: Put before each key.

    Returns:
        Dotted keys; lists in one line; what is unknown or empty as a dash.
    """

    def text(item: Any) -> str:
        if item is None:
            return ABSENT
        # An empty mapping, which has no keys of its own to stand for it, is empty like any list.
        listed = isinstance(item, list | tuple | Mapping)
        return (", ".join(map(str, item)) if listed else str(item)) or ABSENT

    return {key: text(item) for key, item in flatten(values, prefix).items()}


def collect(config_hash: str | None, seed: int | None, **extra: Any) -> dict[str, Any]:
    """Everything needed to trace a number, as JSON values.

    Args:
        config_hash: Hash of the run's resolved config.
        seed: The run's seed.
        **extra: What only the caller knows: ``checkpoint``, ``selection`` (the rule), ``mlflow_run``, …

    Returns:
        ``config_hash``, ``seed``, ``commit``, ``dirty``, ``versions``, ``hardware`` and the extras.

    Raises:
        ValueError: An extra would overwrite one of the former.
    """
    base = {
        "config_hash": config_hash,
        "seed": seed,
        **commit(),
        "versions": versions(),
        "hardware": hardware(),
    }
    clash = sorted(set(base) & set(extra))
    if clash:
        raise ValueError(f"'{clash[0]}' is collected here: give your value another name")
    return {**base, **extra}
