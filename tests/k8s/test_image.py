"""The image's recipe, read; it is not built here."""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from k8s_checks.pods import pods

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "k8s" / "image"
Instruction = tuple[str, str]


def _stages(text: str) -> dict[str, tuple[str, list[Instruction]]]:
    """Stage → (what it builds on, its instructions)."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    lines = re.sub(r"\\\n", " ", text).splitlines()
    stages: dict[str, tuple[str, list[Instruction]]] = {"": ("", [])}
    current = ""
    for line in filter(None, map(str.strip, lines)):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            base, _, current = rest.partition(" AS ")
            stages[current] = (base, [])
        else:
            stages[current][1].append((keyword, re.sub(r"\s+", " ", rest)))
    return stages


@pytest.fixture(scope="module")
def stages() -> dict[str, tuple[str, list[Instruction]]]:
    return _stages((IMAGE / "Dockerfile").read_text(encoding="utf-8"))


def _of(stages: Any, stage: str, keyword: str) -> list[str]:
    return [rest for key, rest in stages[stage][1] if key == keyword]


def test_python_is_one_that_the_project_supports(stages: Any) -> None:
    (argument,) = _of(stages, "", "ARG")
    found = re.fullmatch(r"PYTHON_IMAGE=python:(\d+)\.(\d+)-slim-\w+", argument)
    assert found
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "requires-python"
    ]
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", supported).groups()  # type: ignore[union-attr]
    assert found[1] == "3"
    assert int(low) <= int(found[2]) < int(high)


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_target_runs_landmarks_as_nobody_special(stages: Any, target: str) -> None:
    assert stages[target][0] == "runtime"
    assert _of(stages, target, "USER") == ["1000:1000"]
    assert [json.loads(e) for e in _of(stages, target, "ENTRYPOINT")] == [["landmarks"]]
    assert _of(stages, target, "WORKDIR") == ["/opt/landmarks"]
    assert "configs /opt/landmarks/configs" in _of(stages, target, "COPY")
    assert f"--from=packages-{target} /opt/venv /opt/venv" in _of(stages, target, "COPY")
    assert any("LANDMARKS_COMMIT=${LANDMARKS_COMMIT}" in e for e in _of(stages, target, "ENV"))
    assert any("/opt/venv/bin:" in e for e in _of(stages, "runtime", "ENV"))


def test_everything_is_installed_at_the_pinned_versions(stages: Any) -> None:
    commands = [c for stage in stages for c in _of(stages, stage, "RUN") if "pip install" in c]
    assert len(commands) == 4
    assert all("--constraint constraints.txt" in c for c in commands)
    assert sum('".[server,s3]"' in c for c in commands) == 2
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for package in ("torch", "torchvision", "ray", "deepspeed", "mlflow", "boto3", "psycopg2-binary"):
        assert re.search(rf"^{package}==\S", pins, re.MULTILINE), package


def test_what_kuberay_calls_is_there(stages: Any) -> None:
    (packages, _) = _of(stages, "runtime", "RUN")
    assert "bash" in packages.split()
    assert "wget" in packages.split()


def test_no_package_index_is_named_and_none_is_left_in_the_image(stages: Any) -> None:
    text = (IMAGE / "Dockerfile").read_text(encoding="utf-8")
    assert "://" not in text
    for stage in stages:
        for argument in _of(stages, stage, "ARG"):
            if "INDEX" in argument:
                assert "=" not in argument
                assert stage not in {"runtime", "cpu", "cuda"}


def test_targets_are_the_tags_of_the_manifests(stages: Any, docs: list[dict[str, Any]]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    used = {c["image"] for pod in pods(docs) for c in pod.containers if c["image"].startswith("landmarks:")}
    assert used <= {f"landmarks:{version}-{target}" for target in ("cpu", "cuda")}
    assert stages.keys() >= {image.rpartition("-")[2] for image in used}


def test_user_is_the_pods_user(stages: Any, docs: list[dict[str, Any]]) -> None:
    (user,) = set(_of(stages, "cpu", "USER") + _of(stages, "cuda", "USER"))
    for pod in pods(docs):
        if any(c["image"].startswith("landmarks:") for c in pod.containers):
            context = pod.spec["securityContext"]
            assert f"{context['runAsUser']}:{context['runAsGroup']}" == user


def test_context_holds_what_is_copied_and_nothing_else(stages: Any) -> None:
    rules = [
        line
        for line in (IMAGE / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    copied = {
        word.removeprefix("./")
        for stage in stages
        for copy in _of(stages, stage, "COPY")
        if "--from" not in copy
        for word in copy.split()[:-1]
    }
    assert copied == set(kept)
    assert all((ROOT / name).exists() for name in copied)
    assert not any(fnmatch(secret, rule) for secret in (".git", ".venv", "outputs") for rule in kept)
