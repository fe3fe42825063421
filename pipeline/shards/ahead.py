"""Batches on their way to a GPU while the step before theirs computes.

A copy from ordinary memory holds up the thread that asks for it, and one on the stream of the step waits for the step. So the
thread that decodes a batch also locks its pages and asks for its copy, on a stream that has nothing else to do; the step's stream
waits for that copy alone, which mostly has long been made. As many batches as the loader holds ready lie on the GPU, as bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from pipeline.shards.loader import Batch


def sender(device: torch.device) -> Callable[[Batch], Batch] | None:
    """What sends batches to a GPU; None for a device that shares the host's memory."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)

    def send(batch: Batch) -> Batch:
        with torch.cuda.stream(stream):
            sent: dict[str, Any] = {
                name: tensor.pin_memory().to(device, non_blocking=True)
                for name, tensor in _tensors(batch).items()
            }
            return replace(batch, **sent, arrival=stream.record_event())

    return send


def receive(batch: Batch) -> None:
    """Let what the present stream does from now on wait for the batch; nothing for one that was not sent."""
    if batch.arrival is None:
        return
    stream = torch.cuda.current_stream(batch.images_B3SS.device)
    stream.wait_event(batch.arrival)
    for tensor in _tensors(batch).values():
        # The memory came from the other stream's share: it must not be given away before this one is done with it.
        tensor.record_stream(stream)


def _tensors(batch: Batch) -> dict[str, Tensor]:
    found = {field.name: getattr(batch, field.name) for field in fields(batch)}
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}
