import pytest
from pydantic import BaseModel, ValidationError

from pipeline.methods.unlabelled.weights import Weight


class Holder(BaseModel):
    weight: Weight


def test_a_number_is_a_fixed_weight():
    assert Holder.model_validate({"weight": 0.001}).weight == Weight(fixed=0.001)
    assert Holder.model_validate({"weight": 2}).weight == Weight(fixed=2.0)
    assert Holder.model_validate({"weight": {"share": 0.1}}).weight == Weight(share=0.1)


@pytest.mark.parametrize(
    ("weight", "written"),
    [
        (Weight(fixed=0.5), 0.5),
        (Weight(share=0.1), {"share": 0.1, "ramp_steps": 0, "start_step": 0}),
        (Weight(fixed=0.5, ramp_steps=3), {"fixed": 0.5, "ramp_steps": 3, "start_step": 0}),
    ],
)
def test_is_written_as_short_as_it_was_read_and_reads_back(weight, written):
    raw = Holder(weight=weight).model_dump(mode="json")
    assert raw == {"weight": written}
    assert Holder.model_validate(raw).weight == weight


@pytest.mark.parametrize(
    "bad", [{}, {"share": 0.1, "fixed": 1.0}, {"share": 0.0}, {"fixed": -1.0}, True, "0.1", {"shar": 1}]
)
def test_what_is_no_weight(bad):
    with pytest.raises(ValidationError):
        Holder.model_validate({"weight": bad})


def test_the_ramp_rises_from_its_start():
    weight = Weight(share=0.1, start_step=10, ramp_steps=4)
    assert [weight.ramp(step) for step in (0, 9, 10, 11, 13, 14, 999)] == [0, 0, 0, 0.25, 0.75, 1, 1]
    assert Weight(share=0.1).ramp(0) == 1.0
    assert [Weight(fixed=1.0, start_step=2).ramp(step) for step in (1, 2)] == [0.0, 1.0]
