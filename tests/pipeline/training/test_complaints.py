"""A user is told once, and not of a moment."""

from __future__ import annotations

from pipeline.methods.unlabelled.base import UnlabelledObjective
from pipeline.methods.unlabelled.weights import Weight
from pipeline.training.complaints import Complaints
from pipeline.training.step import Teaching


class Grumbler(UnlabelledObjective):
    weight = Weight(share=0.25)

    def generator_loss(self, discriminator, view):
        raise AssertionError("complaints are told without a step")

    def complaint(self, metrics):
        return "it itches" if metrics.get("itch", 0) > 1 else None


def complaints(weight: Weight) -> Complaints:
    return Complaints([Teaching("g", Grumbler(), weight)])


def test_an_objective_that_hardly_acts_is_told_of_once_with_the_remedy():
    watch = complaints(Weight(fixed=0.001))
    assert [watch.look({"share/g": 4e-7}, step) for step in (20, 40)] == [[], []]
    (text,) = watch.look({"share/g": 4e-7}, 60)
    assert text.startswith("objective 'g': it hardly acts: its gradient is 4.0e-07 of the supervised one")
    assert "weight: {share: 0.25}" in text
    assert watch.look({"share/g": 4e-7}, 80) == []


def told(weight: Weight, share: float | None, steps: range = range(20, 200, 20)) -> list[str]:
    watch = complaints(weight)
    metrics = {} if share is None else {"share/g": share}
    return [text for step in steps for text in watch.look(metrics, step)]


def test_one_that_acts_or_that_still_rises_is_not():
    assert told(Weight(fixed=1.0), 0.05) == []
    assert told(Weight(fixed=1.0), None) == []
    assert told(Weight(fixed=1.0, ramp_steps=1000), 1e-4) == []
    assert told(Weight(fixed=1.0, ramp_steps=100), 1e-4) != []


def test_one_without_a_gradient_is_told_of_though_its_weight_is_a_share():
    (text,) = told(Weight(share=0.1), 0.0)
    assert "no gradient" in text


def test_an_objectives_own_complaint_is_told_when_it_lasts():
    watch = complaints(Weight(share=0.1))
    found = [watch.look({"itch": itch}, step) for step, itch in enumerate([2, 2, 0, 2, 2, 2, 2])]
    assert found == [[], [], [], [], [], ["objective 'g': it itches"], []]
