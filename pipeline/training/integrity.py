"""A checkpoint's list of files: what each rank wrote, with its digest, and a digest of the list itself.

A flipped bit leaves a weight a number: a resume from a damaged file would go on as another run without a word. So nothing of a
checkpoint is opened before every file is the one that was written. The list is what makes it whole: it is written last, and files
that it does not name make the folder as suspect as files that are missing.

A digest guards against disks and cut-off uploads, not against somebody who can write into the folder, and so can write another
list: against them, nothing is loaded that could run code (``engines.load_engine``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from pipeline.errors import TrainingError
from pipeline.shards.manifest import join
from pipeline.storage import files_below, open_binary, read_text, write_text
from pipeline.strict import Strict

CHECKPOINT_MANIFEST = "checkpoint.json"
AGAIN = "-again"
"""Behind the name of a checkpoint of the same step as a damaged one. Names sort by age."""
_BLOCK = 2**20


def checkpoint_name(step: int) -> str:
    """Of the folder, below the run's."""
    return f"step-{step:09d}"


def is_checkpoint(name: str) -> bool:
    """Whether a folder of this name below a run's is one of its checkpoints."""
    return re.fullmatch(rf"step-\d{{9}}({AGAIN})*", name) is not None


class FileDigest(Strict):
    """One file of a checkpoint."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class CheckpointManifest(Strict):
    """What a checkpoint is and consists of."""

    format: Literal["landmark-pipeline/checkpoint"] = "landmark-pipeline/checkpoint"
    version: Literal[1] = 1
    step: int = Field(ge=0, description="optimizer steps done")
    config_hash: str = Field(description="of the run whose state it is")
    world_size: int = Field(ge=1, description="ranks that wrote it")
    zero_stage: int = Field(
        ge=0, le=2, description="DeepSpeed's; above 0, its files belong to one world size"
    )
    files: dict[str, FileDigest] = Field(min_length=1, description="path below the folder → digest")
    sha256: str = Field(default="", description="of everything above, as canonical JSON")

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())

    def digest(self) -> str:
        """What ``sha256`` must be."""
        content = self.model_dump(mode="json", exclude={"sha256"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digests(folder: Path) -> dict[str, FileDigest]:
    """The files below a local folder, by path: what one rank has written."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(str(path)) for path in paths}


def seal(
    folder: Path,
    files: Mapping[str, FileDigest],
    *,
    step: int,
    config_hash: str,
    world_size: int,
    zero_stage: int,
) -> None:
    """Write the list of a checkpoint's files, all ranks' together; rank 0 does, as its last file."""
    manifest = CheckpointManifest(
        step=step, config_hash=config_hash, world_size=world_size, zero_stage=zero_stage, files=dict(files)
    )
    sealed = manifest.model_copy(update={"sha256": manifest.digest()})
    write_text(str(folder / CHECKPOINT_MANIFEST), sealed.model_dump_json(indent=2) + "\n")


def read_seal(folder: str) -> CheckpointManifest:
    """A checkpoint's list of files; the list itself is whole, its files have not been looked at.

    Args:
        folder: Of the checkpoint; local path or URL.

    Raises:
        TrainingError: There is none, or it is not as it was written.
    """
    url = join(folder, CHECKPOINT_MANIFEST)
    try:
        text = read_text(url)
        if text is None:
            raise TrainingError(f"{CHECKPOINT_MANIFEST} is missing")
        manifest = CheckpointManifest.model_validate(json.loads(text))
    except (ValidationError, ValueError, RecursionError) as error:
        raise TrainingError(f"{CHECKPOINT_MANIFEST} is damaged ({type(error).__name__})") from error
    if manifest.digest() != manifest.sha256:
        raise TrainingError(f"{CHECKPOINT_MANIFEST} is not as it was written")
    return manifest


def damage(folder: str) -> tuple[str, ...]:
    """What is wrong with a checkpoint, by file; nothing where every byte is as it was written.

    Args:
        folder: Of the checkpoint; local path or URL.
    """
    try:
        expected = read_seal(folder).files
    except TrainingError as error:
        return (str(error),)
    found = set(files_below(folder)) - {CHECKPOINT_MANIFEST}
    problems = [f"{name} is missing" for name in sorted(expected.keys() - found)]
    problems += [f"{name} does not belong to it" for name in sorted(found - expected.keys())]
    for name in sorted(expected.keys() & found):
        try:
            now = _digest(join(folder, name))
        except OSError as error:
            problems.append(f"{name} cannot be read ({error.strerror or error})")
            continue
        if now.bytes != expected[name].bytes:
            problems.append(f"{name} holds {now.bytes} bytes, {expected[name].bytes} were written")
        elif now.sha256 != expected[name].sha256:
            problems.append(f"{name} is not as it was written")
    return tuple(problems)


def _digest(url: str) -> FileDigest:
    digest, size = hashlib.sha256(), 0
    with open_binary(url) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return FileDigest(bytes=size, sha256=digest.hexdigest())
