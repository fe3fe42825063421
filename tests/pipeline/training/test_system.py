"""What a worker uses: cores while it computes, memory while it holds some, and nothing a driver refuses to tell."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import torch

from pipeline.training.system import SystemMeter

CPU = torch.device("cpu")


def compute(cpu_seconds: float) -> None:
    """By the process's own clock: a busy machine makes it longer, not less."""
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        sum(range(1000))


def test_computing_shows_as_cpu_and_waiting_does_not():
    meter = SystemMeter(CPU)
    used, began = time.process_time(), time.monotonic()
    compute(0.3)
    busy = meter.read()["cpu_percent"]
    expected = 100 * (time.process_time() - used) / (time.monotonic() - began)
    # The same quotient, from the kernel's other clocks, which tick in hundredths of a second.
    assert busy == pytest.approx(expected, rel=0.25)
    assert busy > 0


def test_each_reading_begins_where_the_last_one_ended():
    meter = SystemMeter(CPU)
    compute(0.3)
    busy = meter.read()["cpu_percent"]
    time.sleep(0.3)
    assert meter.read()["cpu_percent"] < busy


HOLD = """
import numpy as np
import torch
from pipeline.training.system import SystemMeter

meter = SystemMeter(torch.device("cpu"))
before = meter.read()["memory_mib"]
held = np.ones(64 * 2**20, dtype=np.uint8)
print(meter.read()["memory_mib"] - before)
"""


def test_memory_held_is_memory_shown():
    # In a process of its own: one that has run other tests has memory left over to hand out again.
    shown = subprocess.run([sys.executable, "-c", HOLD], check=True, capture_output=True, text=True).stdout
    assert float(shown) == pytest.approx(64, abs=16)


def test_without_a_gpu_nothing_is_said_of_one():
    assert set(SystemMeter(CPU).read()) == {"cpu_percent", "memory_mib"}


class NVMLError(Exception):
    """NVML's errors are of no standard kind."""


@pytest.mark.parametrize(
    "error", [ModuleNotFoundError("pynvml"), RuntimeError("no driver"), NVMLError("Not Supported")]
)
def test_a_gpu_that_does_not_say_how_busy_it_is_ends_no_training(monkeypatch, error):
    def refuse(_device: object) -> int:
        raise error

    # A machine of this suite need not have a GPU: its three calls are put in, the rest is real.
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _device: 3 * 2**20)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    metrics = SystemMeter(torch.device("cuda", 0)).read()
    assert set(metrics) == {"cpu_percent", "memory_mib", "gpu_memory_mib"}
    assert metrics["gpu_memory_mib"] == 3
    monkeypatch.setattr(torch.cuda, "utilization", lambda _device: 40)
    assert SystemMeter(torch.device("cuda", 0)).read()["gpu_percent"] == 40.0
