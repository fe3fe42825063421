"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Two cores in continuous integration; oversubscribed threads make every test slower.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real faces (300-W in its official layout, unlabelled pictures); skips where there is none."""
    root = Path(os.environ.get("LANDMARKS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (root / "300w").is_dir():
        pytest.skip(f"no real faces at {root}: set LANDMARKS_REAL_DATA to a folder holding 300w/ and unlabelled/")
    return root
