"""``kubectl``, asked for one thing at a time; what it refuses is this project's error."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobs.submission.secrets import scrub
from pipeline.errors import ClusterError

Doc = dict[str, Any]
"""A Kubernetes object."""
_TIMEOUT_S = 300.0
_LOG_LINE = re.compile(r"[EWI]\d{4} \d\d:")
"""Of kubectl's own log: each attempt to connect, before the line that says what came of them."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: ten times as fast."""
_REMEDY = (
    "is it the right cluster (kubectl config current-context), is the KubeRay operator installed, does the namespace exist, and "
    "may you write in it (kubectl auth can-i create rayjobs)?"
)


def kubectl(*arguments: str, given: str | None = None, remedy: str = _REMEDY) -> str:
    """Run kubectl to its end.

    Args:
        arguments: Its own.
        given: Its standard input.
        remedy: What to look at if it fails.

    Returns:
        What it printed.

    Raises:
        ClusterError: There is no kubectl, it failed, or it did not end.
    """
    program = shutil.which("kubectl")
    if program is None:
        raise ClusterError(
            "kubectl is not on the PATH: install version 1.28 or later, see https://kubernetes.io/docs/tasks/tools"
        )
    shown = shlex.join(["kubectl", *arguments])
    try:
        done = subprocess.run(
            [program, *arguments], input=given, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{shown}: no answer within {_TIMEOUT_S:g} s; {remedy}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not _LOG_LINE.match(line)]
        said = scrub("\n".join(lines).strip() or done.stderr.strip() or f"exit code {done.returncode}")
        raise ClusterError(f"{shown}: {said}\n{remedy}")
    return done.stdout


def build(resource: Path, components: Sequence[Path], namespace: str) -> list[Doc]:
    """Objects of a kustomization with components added; nothing is sent.

    Args:
        resource: Folder of the kustomization.
        components: Folders of components, applied in order.
        namespace: Of all objects.

    Raises:
        ClusterError: There is no kubectl, or the folders do not fit together.
    """
    with tempfile.TemporaryDirectory(prefix="landmarks-") as scratch:
        here = Path(scratch).resolve()
        # Kustomize takes no absolute paths.
        added = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": namespace,
            "resources": [os.path.relpath(resource.resolve(), here)],
            "components": [os.path.relpath(folder.resolve(), here) for folder in components],
        }
        (here / "kustomization.yaml").write_text(yaml.safe_dump(added), encoding="utf-8")
        remedy = f"it is built of {resource} and {', '.join(map(str, components)) or 'no component'}"
        text = kubectl("kustomize", str(here), remedy=remedy)
    return [doc for doc in yaml.load_all(text, Loader=_LOADER) if doc]


def to_yaml(docs: Sequence[Doc]) -> str:
    """Objects as one YAML stream."""
    return yaml.safe_dump_all(docs, sort_keys=False, allow_unicode=True, width=120)


@dataclass(frozen=True)
class Cluster:
    """A namespace of a cluster, as far as kubectl's own settings lead to it.

    Attributes:
        namespace: Where all objects are.
        context: Of kubectl's settings; None for the current one.
    """

    namespace: str
    context: str | None = None

    def find(self, kind: str, name: str) -> Doc | None:
        """An object, or None where there is none of this name."""
        text = self._ask("get", kind, name, "--ignore-not-found", "--output", "json")
        found: Doc | None = json.loads(text) if text.strip() else None
        return found

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, and all that was made for it, and wait until it is gone."""
        self._ask("delete", kind, name, "--ignore-not-found", "--wait")

    def apply(self, docs: Sequence[Doc]) -> None:
        """Create the objects, or change those that exist.

        On the server's side: kubectl itself would note the whole of each object in its annotations, which hold 256 KiB.
        """
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(docs)})
        self._ask("apply", "--server-side", "--field-manager=landmarks", "--filename", "-", given=given)

    def typed(self, *arguments: str) -> str:
        """A command for this namespace, as a user would type it."""
        return shlex.join(["kubectl", *self._where(), *arguments])

    def _ask(self, *arguments: str, given: str | None = None) -> str:
        return kubectl(*self._where(), *arguments, given=given)

    def _where(self) -> list[str]:
        return ["--namespace", self.namespace, *(["--context", self.context] if self.context else [])]
