"""The host of a training loop: what the loop needs of a Ray Train worker, or of a test, that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch


class Host(Protocol):
    """What a loop needs of whatever runs it."""

    rank: int
    world_size: int
    device: torch.device

    def latest(self) -> Path | None:
        """Folder of the checkpoint to resume from."""

    def publish(self, event: dict[str, Any]) -> None:
        """Hand an event (metrics, images) to whoever shows and tracks them; never blocks training."""

    def save(self, step: int, metrics: dict[str, Any], write: Any) -> None:
        """Have every rank ``write(folder)`` its part of a checkpoint, and register it. A barrier."""
