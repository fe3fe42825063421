"""The hash that names a resolved config: two runs of one hash compute the same, whatever keys are younger than the first."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel

_ABSENT = object()
# Keys that are younger than runs, or were given another default: each with the default, and what a run was hashed with that did
# then what the default does now.
YOUNGER: dict[str, tuple[Any, Any]] = {
    "training.accumulate": (1, _ABSENT),
    "training.channels_last": (False, _ABSENT),
    "training.compile": (False, _ABSENT),
    "data.decode_threads": (None, 1),
}


def config_hash(config: BaseModel, exclude: frozenset[str] = frozenset()) -> str:
    """Twelve hex digits that name a resolved config; sections and dotted keys in ``exclude`` do not change what is computed."""
    raw = config.model_dump(mode="json")
    for key, (default, before) in YOUNGER.items():
        section, name = _holder(raw, key)
        if not section or section.get(name, _ABSENT) != default:
            continue
        section[name] = before
        if before is _ABSENT:
            del section[name]
    for key in exclude:
        section, name = _holder(raw, key)
        if section:
            section.pop(name, None)
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()[:12]


def _holder(raw: Any, key: str) -> tuple[Any, str]:
    """The section a dotted key is in, None or empty where there is none, and the key's last part."""
    *sections, last = key.split(".")
    for section in sections:
        raw = raw and raw.get(section)
    return raw, last
