"""The host of a training loop: what the loop needs of a Ray Train worker, or of a test, that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch


class Host(Protocol):
    """What a loop needs of whatever runs it."""

    rank: int
    world_size: int
    device: torch.device

    def checkpoints(self) -> Sequence[str]:
        """Names of the run's checkpoints, newest first; the same on every rank."""

    def fetch(self, checkpoint: str) -> Path:
        """A local folder that holds a checkpoint."""

    def publish(self, event: dict[str, Any]) -> None:
        """Hand an event (metrics, images) to whoever shows and tracks them; never blocks training."""

    def save(self, step: int, metrics: dict[str, Any], write: Any) -> None:
        """Have every rank ``write(folder)`` its part of a checkpoint, and register it. A barrier."""
