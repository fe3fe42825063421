"""create-secrets.sh and start.sh, with a kubectl that writes down what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from k8s_checks.rules import PROVIDED_SECRETS

ROOT = Path(__file__).resolve().parents[2]

_STUB = r"""#!/usr/bin/env bash
echo "$*" >>"$LOG/calls"
case "$*" in
    kustomize*) exec "$REAL" "$@" ;;
    *"create secret"*) cat >"$LOG/secret-$6" ;;
    *"get secret"*) [ -e "$LOG/secret-$5" ] && echo "secret/$5" ;;
    *jsonpath*) printf '%s' "${STATE-}" ;;
    *"get rayjob"*) [ -n "${STATE-}" ] && echo rayjob.ray.io/x ;;
    *apply*) cat >"$LOG/applied" ;;
    *"get namespace"*) exit 1 ;;
esac
exit 0
"""


@pytest.fixture
def script(tmp_path: Path) -> Any:
    real = shutil.which("kubectl")
    if real is None:
        pytest.skip("no kubectl on the PATH")
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "kubectl"
    stub.write_text(_STUB, encoding="utf-8")
    stub.chmod(0o755)

    def run(name: str, *arguments: str, state: str = "") -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "PATH": f"{stub.parent}:{os.environ['PATH']}",
            "REAL": real,
            "LOG": str(tmp_path),
            "STATE": state,
        }
        return subprocess.run(
            [str(ROOT / "k8s" / name), *arguments], capture_output=True, text=True, env=env, timeout=120
        )

    return run


def test_secrets_are_random_complete_and_never_shown(script: Any, tmp_path: Path) -> None:
    done = script("create-secrets.sh")
    assert done.returncode == 0, done.stderr
    values = []
    for name, keys in PROVIDED_SECRETS.items():
        lines = (tmp_path / f"secret-{name}").read_text().splitlines()
        pairs = dict(line.split("=", 1) for line in lines)
        assert set(pairs) == keys
        values += pairs.values()
    assert len(set(values)) == 4
    # Hexadecimal, so that it may stand in an address as it is.
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in values)
    shown = done.stdout + done.stderr + (tmp_path / "calls").read_text()
    assert not any(value in shown for value in values)


def test_secrets_that_exist_are_left_alone(script: Any, tmp_path: Path) -> None:
    script("create-secrets.sh")
    before = {p.name: p.read_text() for p in tmp_path.glob("secret-*")}
    done = script("create-secrets.sh", "landmarks")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("left as it is") == 3
    assert {p.name: p.read_text() for p in tmp_path.glob("secret-*")} == before


@pytest.mark.parametrize("part", ["platform", "train", "interactive"])
def test_start_applies_one_part(script: Any, tmp_path: Path, part: str) -> None:
    done = script("start.sh", "gpu", part)
    assert done.returncode == 0, done.stderr
    assert f"apply --selector landmarks/start={part} --filename -" in (tmp_path / "calls").read_text()
    docs = list(yaml.safe_load_all((tmp_path / "applied").read_text()))
    chosen = {d["kind"] for d in docs if d["metadata"]["labels"]["landmarks/start"] == part}
    assert ("RayJob" in chosen) == (part == "train")
    assert ("Deployment" in chosen) == (part == "platform")


@pytest.mark.parametrize("state", ["Complete", "Failed"])
def test_start_makes_room_for_a_job_that_has_ended(script: Any, tmp_path: Path, state: str) -> None:
    assert script("start.sh", "gpu", "train", state=state).returncode == 0
    calls = (tmp_path / "calls").read_text()
    assert "delete rayjob.ray.io/landmarks-train" in calls
    assert "apply" in calls


def test_start_leaves_a_running_job_alone(script: Any, tmp_path: Path) -> None:
    done = script("start.sh", "gpu", "train", state="Running")
    assert done.returncode == 1
    assert "is Running" in done.stderr
    calls = (tmp_path / "calls").read_text()
    assert "apply" not in calls
    assert "delete" not in calls


@pytest.mark.parametrize("arguments", [(), ("gpu",), ("gpu", "everything"), ("nowhere", "train")])
def test_start_explains_itself(script: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = script("start.sh", *arguments)
    assert done.returncode == 2
    assert "k8s/start.sh OVERLAY" in done.stderr
    assert not (tmp_path / "calls").exists()
