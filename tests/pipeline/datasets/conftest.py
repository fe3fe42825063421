"""What tests of readers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from pipeline.datasets.face import FaceRecord, Unusable
from pipeline.errors import DataError


def _sound(records: Sequence[FaceRecord]) -> Sequence[FaceRecord]:
    problems = [record.problem for record in records if isinstance(record, Unusable)]
    if problems:
        raise DataError("\n".join(problems))
    return records


@pytest.fixture(scope="session")
def sound() -> Callable[[Sequence[FaceRecord]], Sequence[FaceRecord]]:
    """Records none of which is unusable: raises what is wrong with those that are."""
    return _sound
