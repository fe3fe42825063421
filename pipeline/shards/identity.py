"""Knowing a prepared set again: by what its manifest lists, wherever it lies and whatever it is called."""

from __future__ import annotations

import hashlib
import json
from typing import Self

from pydantic import Field

from pipeline.shards.manifest import Manifest
from pipeline.strict import Strict

# What a reader of the set sees. Not where its images came from, nor what was left out: a root that has moved, and a release
# that says more in its manifests, prepare the same samples.
_CONTENT = ("role", "split", "markup", "markup_definition", "num_landmarks", "crop", "samples", "shards")
_HERE = "\0shards"
"""Stands for the shards in text; no name has a NUL."""


def content_hash(manifest: Manifest) -> str:
    """SHA-256 of a set's content, the hashes of its shards among it."""
    content = manifest.model_dump(mode="json", include=set(_CONTENT) - {"shards"})
    # Of one list of objects, however the manifest holds its shards; never in one piece, which would take a kilobyte a shard.
    head, tail = json.dumps(content | {"shards": [_HERE]}, sort_keys=True).split(json.dumps(_HERE))
    digest = hashlib.sha256(head.encode())
    for place, shard in enumerate(manifest.shards):
        entry = json.dumps(shard.model_dump(mode="json"), sort_keys=True)
        digest.update(f"{', ' if place else ''}{entry}".encode())
    digest.update(tail.encode())
    return digest.hexdigest()


class SetIdentity(Strict):
    """A set, as what was made of it remembers it."""

    name: str
    content: str = Field(pattern="^[0-9a-f]{64}$", description="content_hash of its manifest")
    records: str | None = Field(
        None, description="hash of the images it was prepared from, where they are listed"
    )

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """That of a manifest."""
        records = manifest.source.get("records_sha256")
        return cls(
            name=manifest.name,
            content=content_hash(manifest),
            records=records if isinstance(records, str) else None,
        )

    def same_faces(self, manifest: Manifest) -> bool:
        """Whether a set holds these faces: it is this one, or was prepared from the same images in another way."""
        other = SetIdentity.of(manifest)
        return self.content == other.content or (self.records is not None and self.records == other.records)
