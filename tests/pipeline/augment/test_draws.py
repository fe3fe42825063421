"""Random numbers: the same for any number of ranks, and after a resume."""

from __future__ import annotations

import pytest
import torch

from pipeline.augment.draws import between, check_number, check_range, chosen, step_generator, uniforms
from pipeline.errors import ConfigError


def test_a_step_is_a_function_of_seed_step_and_stream():
    def first(*arguments: int) -> list[float]:
        return uniforms(3, 4, step_generator(*arguments)).flatten().tolist()

    assert first(1, 2, 0) == first(1, 2)
    assert len({tuple(first(*a)) for a in ((1, 2, 0), (1, 2, 1), (1, 3, 0), (2, 2, 0), (2, 1, 0))}) == 5


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_every_world_draws_the_same_global_batch(world_size):
    whole = uniforms(8, 5, step_generator(7, 100))
    parts = [
        uniforms(8 // world_size, 5, step_generator(7, 100), rank, world_size) for rank in range(world_size)
    ]
    for place in range(8):
        assert torch.equal(parts[place % world_size][place // world_size], whole[place])


def test_never_and_always():
    u = torch.tensor([0.0, 0.5, 1 - 1e-16], dtype=torch.float64)
    assert not chosen(u, 0.0).any()
    assert chosen(u, 1.0)[:2].all()
    assert between(u, -3.0, 5.0)[:2].tolist() == [-3.0, 1.0]


def test_ranges():
    check_range("x", (0.0, 1.0), 0, 1)
    for wrong in ((1.0, 0.0), (0.0, 2.0), (float("nan"), 1.0)):
        with pytest.raises(ConfigError, match="x = "):
            check_range("x", wrong, 0, 1)
    with pytest.raises(ConfigError, match=r"x = inf: it must be in 0 … 1 px"):
        check_number("x", float("inf"), 0, 1, " px")
