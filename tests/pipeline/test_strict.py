"""The bases of typed records."""

from __future__ import annotations

import math

import pytest
from pydantic import Field, ValidationError

from pipeline.strict import Finite, Strict


class Section(Strict):
    """A section with one field."""

    weight: float = 1.0


class Measured(Finite):
    """A record with one field."""

    error: float | None = None


@pytest.mark.parametrize("base", [Section, Measured])
def test_unknown_keys_fail_and_values_never_change(base):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        base(weigth=2.0)
    record = base()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, next(iter(base.model_fields)), 2.0)


def test_a_default_is_checked_like_a_value():
    class Wrong(Strict):
        share: float = Field(2.0, le=1)

    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Wrong()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_finite_records_refuse_what_json_cannot_say(value):
    with pytest.raises(ValidationError, match="finite number"):
        Measured(error=value)
    assert Measured(error=None).error is None
    assert not math.isfinite(Section(weight=value).weight)
