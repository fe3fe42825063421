"""Fixtures shared by all tests."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

# What this file is made of lies beside it.
sys.path.insert(0, str(Path(__file__).parent))
import pages
from stores import s3, s3_server  # noqa: F401
from toy_faces import make_toy_set, toy_experiment, toy_sets  # noqa: F401

# A busy machine is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    # Two cores in continuous integration; oversubscribed threads make every test slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Whatever a shell starts in the background ignores Ctrl-C, and so do its children; tests type it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(SecondsPerFolder())


class SecondsPerFolder:
    """Says at the end where the time went: seconds of a core per folder, whichever worker spent them."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._tests: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        folder = "/".join(Path(report.nodeid.partition("::")[0]).parent.parts[:3])
        self._spent[folder] += report.duration
        self._tests[folder] += report.when == "call"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if len(self._spent) > 1:
            terminalreporter.section("seconds per folder")
            for folder, seconds in self._spent.most_common():
                terminalreporter.write_line(f"{seconds:7.0f} s {self._tests[folder]:5d} tests  {folder}")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test draws the same numbers alone, in any order and beside any others."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _whole_floats() -> Iterator[None]:
    """Rounding is a setting of the process: the test that leaves it changed fails, not the hundreds after it."""
    yield
    flushed = sys.float_info.min / 2 == 0.0
    if flushed:
        torch.set_flush_denormal(False)
    assert not flushed, "torch.set_flush_denormal(True) was left on in the tests' process"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real faces (300-W in its official layout, unlabelled images); skips where there is none."""
    root = Path(
        os.environ.get("LANDMARKS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    )
    if not (root / "300w").is_dir():
        pytest.skip(
            f"no real faces at {root}: set LANDMARKS_REAL_DATA to a folder holding 300w/ and unlabelled/"
        )
    return root


@pytest.fixture
def nothing_outside(tmp_path: Path) -> Callable[[str], None]:
    """Asserts that a page fits a phone and a desk; skips where there is no browser to ask."""
    program = pages.browser()
    if program is None:
        pytest.skip("no Chromium or Chrome on the path: set LANDMARKS_BROWSER to one")

    def check(page: str) -> None:
        for width in pages.WIDTHS:
            assert pages.outside(program, page, width, tmp_path) == [], f"{width} px"

    return check


@pytest.fixture(scope="session")
def train_plainly() -> Callable[..., list[dict[str, Any]]]:
    """Trains configs (plain) one after the other in one process of their own: Ray's worker without Ray, in a sixth of its time.

    A config's ``config_hash``, which is none of its keys, is the run's, whose folder is cluster.storage/name. Returns what each
    had to say: ``said`` (complaints), ``error`` (None of one that finished).
    """
    root = Path(__file__).resolve().parent

    def train(*configs: dict[str, Any]) -> list[dict[str, Any]]:
        runs = []
        for given in configs:
            config = dict(given)
            runs.append({"config_hash": config.pop("config_hash", "0" * 12), "config": config})
        done = subprocess.run(
            [sys.executable, str(root / "plain_host.py")],
            input="".join(json.dumps(run) + "\n" for run in runs),
            env=os.environ | {"PYTHONPATH": str(root.parent)},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    return train
