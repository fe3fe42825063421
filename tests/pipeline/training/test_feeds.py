"""Decode threads by the cores that a worker has."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.feeds import decode_threads


@pytest.mark.parametrize(
    ("cluster", "data", "objective", "expected"),
    [
        ({"cpus_per_worker": 16}, {}, None, 1),  # on the CPU all cores compute
        ({"cpus_per_worker": 16, "gpu": True}, {}, None, 15),
        ({"cpus_per_worker": 16, "gpu": True}, {}, {"name": "adversarial"}, 7),
        ({"cpus_per_worker": 16, "gpu": True}, {"extra": [{"set": "e", "share": 0.5}]}, None, 7),
        ({"cpus_per_worker": 1, "gpu": True}, {}, None, 1),
        ({"cpus_per_worker": 16, "gpu": True}, {"decode_threads": 2}, None, 2),
        ({"cpus_per_worker": 1}, {"decode_threads": 3}, None, 3),
    ],
)
def test_threads_of_each_set(
    cluster: dict[str, Any], data: dict[str, Any], objective: dict[str, str] | None, expected: int
) -> None:
    raw = {
        "name": "x",
        "data": {"train": "t", "unlabelled": "u", "validation": "v"} | data,
        "cluster": cluster,
        "unlabelled": {"objective": objective},
    }
    assert decode_threads(ExperimentConfig.model_validate(raw)) == expected
