"""The command line as a user's shell runs it, in an environment that knows of nothing but ours."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


def clean_environment() -> dict[str, str]:
    """Of a process that knows of no cluster and of no settings but ours."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "LANDMARKS_", "MLFLOW_"))}
    return clean | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        # Ray is polite to whatever else a machine does; here, tests wait for its workers.
        "RAY_worker_niceness": "0",
    }


@dataclass(frozen=True)
class Landmarks:
    """The command line as a user's shell runs it.

    Attributes:
        environment: Of its processes.
    """

    environment: dict[str, str]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen:
        """Start a command; output and errors come in one."""
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: str, code: int = 0, **options: Any) -> str:
        """Run to the end; returns what it printed."""
        process = self.start(*arguments, **options)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == code, output
        return output

    def kill_when(self, condition: Callable[[], bool], *arguments: str, timeout_s: float = 600) -> None:
        """Start a command, and kill -9 it and all it started as soon as a condition holds."""
        process = self.start(*arguments)
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            if member.is_running():
                member.kill()
        process.communicate()
