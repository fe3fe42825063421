"""Rates and averages between two log lines."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pipeline.errors import TrainingError


@dataclass
class Meter:
    """Means of a step's metrics and the images' rate since the last ``flush``.

    Attributes:
        world_size: Ranks to average over.
        device: Of the metrics.
    """

    world_size: int
    device: torch.device
    _sums: dict[str, Tensor] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)  # a figure may begin in mid-window
    _steps: int = 0
    _began: float = field(default_factory=time.perf_counter)

    def add(self, metrics: dict[str, Tensor]) -> None:
        """Add one step's metrics."""
        self._steps += 1
        self._counts.update(metrics.keys())
        for name, value in metrics.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value.clone()

    def exclude(self, seconds: float) -> None:
        """Leave time that was no training (validation, checkpoints) out of the rates."""
        self._began += seconds

    def flush(self, labelled: int, unlabelled: int, wait_seconds: float) -> dict[str, float]:
        """Means over steps and ranks, rates over all ranks; then start again.

        Args:
            labelled: Labelled images a step, over all ranks.
            unlabelled: Likewise.
            wait_seconds: Time this rank waited for data since the last flush.
        """
        seconds = max(time.perf_counter() - self._began, 1e-9)
        names = sorted(self._sums)
        values = torch.stack(
            [self._sums[n].double() / self._counts[n] for n in names]
            + [torch.tensor(wait_seconds / seconds).double().to(self.device)]
        )
        if self.world_size > 1:
            torch.distributed.all_reduce(values)
            values = values / self.world_size
        *means, wait = values.tolist()
        result = dict(zip(names, means, strict=True))
        result["steps_per_second"] = self._steps / seconds
        result["images_per_second"] = labelled * self._steps / seconds
        if unlabelled:
            result["unlabelled_images_per_second"] = unlabelled * self._steps / seconds
        result["data_wait_share"] = wait
        self._sums, self._steps, self._began = {}, 0, time.perf_counter()
        self._counts.clear()
        return result


@dataclass
class Guard:
    """Stops a run at the first non-finite loss, naming the step and its samples.

    Looking at a loss makes a GPU wait, so there the last ``delay`` steps are looked at together; always before a checkpoint.
    """

    delay: int
    _pending: list[tuple[int, list[str], dict[str, Tensor]]] = field(default_factory=list)

    def watch(self, step: int, keys: list[str], metrics: dict[str, Tensor]) -> None:
        """Note one step's losses."""
        self._pending.append((step, keys, metrics))
        if len(self._pending) >= self.delay:
            self.check()

    def check(self) -> None:
        """Look at all noted losses.

        Raises:
            TrainingError: One is not finite.
        """
        pending, self._pending = self._pending, []
        for step, keys, metrics in pending:
            for name, value in metrics.items():
                if not math.isfinite(float(value)):
                    raise TrainingError(
                        f"step {step}: {name} is {float(value)}; samples of this step: {', '.join(keys)}. "
                        "Nothing of it was saved. Lower optimizer.lr, set training.gradient_clipping, or look at these samples"
                    )
