"""Rendered overlays and schemas."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

OVERLAYS = ("local-cpu", "gpu", "gpu-elastic", "gpu-s3", "kueue")
Doc = dict[str, Any]


@cache
def _rendered(overlay: str) -> list[Doc]:
    text = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / "k8s" / "overlays" / overlay)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="session")
def render() -> Callable[[str], list[Doc]]:
    """The manifests of an overlay, as ``kubectl kustomize`` writes them; fresh copies."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on the PATH: the overlays cannot be rendered")
    return lambda overlay: copy.deepcopy(_rendered(overlay))


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def docs(overlay: str, render: Callable[[str], list[Doc]]) -> list[Doc]:
    """The manifests of each overlay in turn."""
    return render(overlay)


@pytest.fixture(scope="session")
def schemas() -> dict[tuple[str, str], Doc]:
    """Strict schemas by apiVersion and kind."""
    from k8s_checks.schemas import catalogue

    folder = Path(os.environ.get("LANDMARKS_CRDS", ROOT.parent / "shared" / "k8s-crds"))
    files = [folder / f"{kind}.v1.openapi.json" for kind in ("raycluster", "rayjob")]
    if not all(file.is_file() for file in files):
        pytest.skip(f"no KubeRay schemas in {folder}: set LANDMARKS_CRDS to a folder holding {files[0].name}")
    cluster, job = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    return catalogue(cluster, job)
