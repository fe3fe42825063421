"""What half precision is widened to."""

from __future__ import annotations

import pytest
import torch

from pipeline.precision import at_least_float32, wide_dtype


@pytest.mark.parametrize(
    ("given", "wide"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.uint8, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_and_whole_numbers_become_float32_and_wider_types_stay(given, wide):
    values = torch.tensor([0, 1, 200], dtype=given)
    assert wide_dtype(values) == wide
    assert torch.equal(at_least_float32(values), torch.tensor([0.0, 1.0, 200.0], dtype=wide))


def test_what_is_wide_is_not_copied_and_gradients_come_back_in_the_given_type():
    values = torch.ones(2)
    assert at_least_float32(values) is values
    half = torch.ones(2, dtype=torch.bfloat16, requires_grad=True)
    at_least_float32(half).sum().backward()
    assert half.grad is not None
    assert half.grad.dtype == torch.bfloat16
