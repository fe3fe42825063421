"""Views of a step made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pipeline.methods.base import Method
from pipeline.methods.unlabelled.base import StepView, UnlabelledBatch
from pipeline.models.output import Output

K, SIDE, BATCH = 5, 64, 3


@pytest.fixture
def points() -> torch.Tensor:
    """(3, 5, 2) landmarks of the markup mtfl5, well inside an image of 64 px."""
    return torch.rand(BATCH, K, 2, generator=torch.Generator().manual_seed(3)) * 20 + 22


@pytest.fixture
def make_view(points: torch.Tensor) -> Callable[..., StepView]:
    """A view of three labelled and three unlabelled images, all landmarks known, the same output for both."""

    def make(
        method: Method, output: Output, batch: UnlabelledBatch | None = None, **changes: Any
    ) -> StepView:
        fields: dict[str, Any] = {
            "labelled_B3HW": torch.rand(BATCH, 3, SIDE, SIDE),
            "target_BK2": points,
            "mask_BK": torch.ones(BATCH, K, dtype=torch.bool),
            "labelled_output": output,
            "unlabelled": batch or UnlabelledBatch.unchanged(torch.rand(BATCH, 3, SIDE, SIDE)),
            "batch_output": output,
            "own_output": None,
            "method": method,
        }
        return StepView(**(fields | changes))

    return make
