"""Batches that are sent to a GPU ahead of their step arrive whole; on the CPU nothing is sent."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from pipeline.shards.ahead import receive, sender
from pipeline.shards.device import to_device
from pipeline.shards.loader import Batch


def batch(number: int, faces: int = 64, side: int = 256) -> Batch:
    generator = torch.Generator().manual_seed(number)
    return Batch(
        images_B3SS=torch.randint(0, 256, (faces, 3, side, side), generator=generator, dtype=torch.uint8),
        points_BK2=torch.rand(faces, 5, 2, generator=generator),
        visible_BK=torch.rand(faces, 5, generator=generator) < 0.5,
        valid_B=torch.ones(faces, dtype=torch.bool),
        keys=[f"{number}-{face}" for face in range(faces)],
        scale_B=torch.ones(faces),
        five_B52=torch.rand(faces, 5, 2, generator=generator),
    )


def test_the_cpu_is_sent_nothing_and_waits_for_nothing():
    assert sender(torch.device("cpu")) is None
    loaded = batch(0, faces=2, side=8)
    receive(loaded)
    assert loaded.arrival is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_arrives_is_what_was_loaded_whatever_the_step_does_meanwhile():
    device = torch.device("cuda", 0)
    send = sender(device)
    assert send is not None
    matrix = torch.rand(4096, 4096, device=device)
    waiting: list[Batch] = []
    for number in range(12):
        waiting.append(send(batch(number)))
        matrix = (matrix @ matrix).softmax(0)  # the step's stream is busy, and copies do not wait for it
        if len(waiting) < 4:
            continue
        arrived, expected = waiting.pop(0), batch(number - 3)
        assert arrived.arrival is not None
        ours, theirs = to_device(arrived, device, 256), to_device(expected, device, 256)
        for field in fields(ours):
            one, other = getattr(ours, field.name), getattr(theirs, field.name)
            if isinstance(one, torch.Tensor):
                assert one.device == device
                assert torch.equal(one, other), field.name
