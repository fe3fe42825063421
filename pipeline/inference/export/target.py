"""What a target of an export is: a file format with the runtime that runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from torch import Tensor

from pipeline.inference.export.module import CropsToLandmarks

Run = Callable[[Tensor], tuple[Tensor, ...]]
"""(B, S, S, 3) uint8 crops → what ``CropsToLandmarks`` returns, for any B."""


class Target(ABC):
    """A way to write a model down, and to run what was written."""

    suffix: ClassVar[str]

    @abstractmethod
    def write(self, module: CropsToLandmarks, path: str) -> None:
        """Write the file.

        Raises:
            ConfigError: A package is missing, or the model has a part that this format cannot express.
        """

    @abstractmethod
    def load(self, path: str) -> Run:
        """What the file computes, on one thread per torch's setting."""
