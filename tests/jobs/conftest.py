"""The command line: on a Ray that the session shares, on one of its own, and in the tests' own process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# What this file is made of lies beside it.
sys.path.insert(0, str(Path(__file__).parent))
from clusters import job_cluster, landmarks, lone_landmarks  # noqa: F401
from connections import proxy, terminal  # noqa: F401


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command line in this process, for commands that start nothing; returns what it printed."""
    import ray

    from jobs import cli

    def started(*_: Any, **__: Any) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr(ray, "init", started)

    def give(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["landmarks", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = "".join(capsys.readouterr())
        assert (ended.value.code or 0) == code, printed
        return printed

    return give
