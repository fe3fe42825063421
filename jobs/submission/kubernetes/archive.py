"""The package of a job as a ConfigMap: the working directory's files, which every pod mounts and Ray unpacks on every node."""

from __future__ import annotations

import base64
import io
import lzma
import tarfile
from collections.abc import Sequence
from pathlib import Path

from jobs.submission.kubernetes.kubectl import Doc
from jobs.submission.package import IGNORE_FILE, largest_of
from pipeline.errors import ConfigError

FILE = "working-dir.tar.xz"
FOLDER = "/opt/landmarks/submitted"
"""Where the pods mount it, read only."""
ADDRESS = f"file://{FOLDER}/{FILE}"
"""As Ray's runtime environment names it: each node reads its own mount."""
_LIMIT = 1_000_000
"""Bytes; an API server takes 2²⁰ in a ConfigMap, names included."""


def archive(folder: Path, files: Sequence[Path]) -> bytes:
    """The files as a tar.xz whose bytes depend on names, contents and execute bits alone.

    Raises:
        ConfigError: It is larger than a ConfigMap holds.
    """
    buffer = io.BytesIO()
    with lzma.open(buffer, "wb") as compressed, tarfile.open(fileobj=compressed, mode="w") as tar:
        for path in files:
            content = (folder / path).read_bytes()
            # In a folder of its own, which Ray takes away; else it would take one that happens to be the only one.
            entry = tarfile.TarInfo(f"package/{path.as_posix()}")
            entry.size = len(content)
            entry.mode = 0o755 if (folder / path).stat().st_mode & 0o100 else 0o644
            tar.addfile(entry, io.BytesIO(content))
    size = buffer.tell()
    if size > _LIMIT:
        sizes = {path: (folder / path).stat().st_size for path in files}
        listed = ", ".join(f"{path.as_posix()} ({sizes[path] / 1e6:.1f} MB)" for path in largest_of(sizes))
        raise ConfigError(
            f"{folder}: the package is {size / 1e6:.2f} MB compressed, and reaches the pods in a ConfigMap, which holds "
            f"{_LIMIT / 1e6:g} MB. The largest of its files: {listed}. Leave out what the job does not need with lines in "
            f"{IGNORE_FILE}, or put the library into the image and submit from a folder that holds configs alone; a job server "
            "(--to ray) takes larger ones"
        )
    return buffer.getvalue()


def config_map(name: str, namespace: str, package: bytes) -> Doc:
    """The ConfigMap that holds a package."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "binaryData": {FILE: base64.b64encode(package).decode("ascii")},
    }
