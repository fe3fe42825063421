"""What the ranks of a run know, brought together."""

from __future__ import annotations

from typing import TypeVar

import torch

_T = TypeVar("_T")


def merged(own: dict[str, _T], world_size: int) -> dict[str, _T]:
    """All ranks' entries in one; every rank calls it, and the entry of the last rank counts where several have a key."""
    if world_size == 1:
        return own
    gathered: list[dict[str, _T]] = [{} for _ in range(world_size)]
    torch.distributed.all_gather_object(gathered, own)
    return {key: value for part in gathered for key, value in part.items()}
