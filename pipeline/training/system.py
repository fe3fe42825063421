"""The use a worker makes of its machine, measured between two calls."""

from __future__ import annotations

import os

import psutil
import torch

_MIB = 2**20


class SystemMeter:
    """CPU, memory and GPU memory of this process.

    Args:
        device: What it trains on.
    """

    def __init__(self, device: torch.device) -> None:
        self._process = psutil.Process(os.getpid())
        self._device = device
        self._process.cpu_percent()  # the first call only starts the clock

    def read(self) -> dict[str, float]:
        """Figures since the last call.

        Returns:
            ``cpu_percent`` (100 is one core) and ``memory_mib``; on a GPU also ``gpu_memory_mib``, the peak, and
            ``gpu_percent`` where the driver tells.
        """
        metrics = {
            "cpu_percent": self._process.cpu_percent(),
            "memory_mib": self._process.memory_info().rss / _MIB,
        }
        if self._device.type == "cuda":
            metrics["gpu_memory_mib"] = torch.cuda.max_memory_reserved(self._device) / _MIB
            torch.cuda.reset_peak_memory_stats(self._device)
            try:
                metrics["gpu_percent"] = float(torch.cuda.utilization(self._device))
            except Exception:
                # NVML's bindings or its library are missing, or it does not say, as of a slice of a GPU (MIG): each an error of
                # its own kind, and none a reason to end a training.
                return metrics
        return metrics
