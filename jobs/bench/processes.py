"""What a command costs over all processes that it starts, daemons that leave it included."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from pipeline.errors import TrainingError

_SUBREAPER, _ASK_SUBREAPER = 36, 37  # PR_SET_CHILD_SUBREAPER and PR_GET_CHILD_SUBREAPER of prctl(2)
_INTERVAL_S = 0.05
_LINGER_S = 15.0


@dataclass(frozen=True)
class Usage:
    """What a command took.

    Attributes:
        wall_s: From start to exit of the command itself.
        cpu_s: User and system time of all its processes.
        processes: CPU seconds by kind of process, most first; they add up to ``cpu_s``.
        output: What it printed.
    """

    wall_s: float
    cpu_s: float
    processes: dict[str, float]
    output: str


def measure(command: Sequence[str]) -> Usage:
    """Run a command and add up the CPU time of everything that descends from it. Linux alone.

    This process becomes the parent of whatever loses its own, as Ray's daemons do, so that none is missed. Each process is read
    every 50 ms: the last moments of each, and those that live shorter, are not counted.

    Args:
        command: Program and arguments.

    Raises:
        TrainingError: It failed; the message holds the end of what it said.
    """
    with _adopting():
        return _measure(command)


@contextmanager
def _adopting() -> Iterator[None]:
    """Be the parent of orphaned descendants within the block; for longer, others' orphans would collect here, too."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    was = ctypes.c_int(0)
    prctl(_ASK_SUBREAPER, ctypes.byref(was), 0, 0, 0)
    prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SUBREAPER, was.value, 0, 0, 0)


def _measure(command: Sequence[str]) -> Usage:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    seen: dict[tuple[int, float], tuple[str, float]] = {}
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT) as process,
    ):
        wall = deadline = None
        while True:
            alive = _read(seen, before)
            if wall is None and process.poll() is not None:
                wall = time.perf_counter() - began
                deadline = time.perf_counter() + _LINGER_S
            if deadline is not None and (not alive or time.perf_counter() > deadline):
                break
            time.sleep(_INTERVAL_S)
        printed.seek(0)
        output = printed.read()
    if process.returncode != 0:
        raise TrainingError(
            f"benchmark: {' '.join(command)} ended with status {process.returncode}: {output.strip()[-1000:]}"
        )
    assert wall is not None  # the loop ends after the command alone
    by_kind: dict[str, float] = defaultdict(float)
    for kind, seconds in seen.values():
        by_kind[kind] += seconds
    ordered = dict(sorted(by_kind.items(), key=lambda item: -item[1]))
    return Usage(wall, sum(ordered.values()), ordered, output)


def _read(seen: dict[tuple[int, float], tuple[str, float]], before: set[int]) -> bool:
    """Note the CPU time of every descendant; whether any is alive. The dead ones that have come to us are let go."""
    alive = False
    for child in psutil.Process().children(recursive=True):
        if child.pid in before:
            continue
        try:
            with child.oneshot():
                times, dead = child.cpu_times(), child.status() == psutil.STATUS_ZOMBIE
                kind = "" if dead else _kind(child.cmdline())
            key = (child.pid, child.create_time())
            # A process that has just forked bears its parent's name; a dead one bears none.
            seen[key] = (kind or seen.get(key, ("other", 0.0))[0], times.user + times.system)
            alive = alive or not dead
        except psutil.NoSuchProcess:
            continue
    return alive


def _kind(arguments: Sequence[str]) -> str:
    """A name for a process by its command line: Ray names its workers by what they run."""
    line = " ".join(arguments)
    for part, name in (
        ("jobs.cli", "driver"),
        ("gcs_server", "ray: gcs_server"),
        ("raylet/raylet", "ray: raylet"),
        ("dashboard/agent.py", "ray: dashboard agent"),
        ("runtime_env/agent", "ray: runtime env agent"),
        ("dashboard/dashboard.py", "ray: dashboard"),
        ("dashboard/modules", "ray: dashboard module"),
        ("log_monitor", "ray: log monitor"),
        ("monitor.py", "ray: monitor"),
    ):
        if part in line:
            return name
    return line.split(" ")[0].split("(")[0][:40] if line.startswith("ray::") else line[:40]
