"""A user is told once, and not of a moment."""

from __future__ import annotations

from pipeline.methods.unlabelled.base import UnlabelledObjective
from pipeline.methods.unlabelled.weights import Weight
from pipeline.training.complaints import Complaints
from pipeline.training.step import Teaching


class Grumbler(UnlabelledObjective):
    weight = Weight(share=0.25)

    def generator_loss(self, discriminator, view):
        raise NotImplementedError

    def complaint(self, metrics):
        return "it itches" if metrics.get("itch", 0) > 1 else None


def complaints(weight: Weight) -> Complaints:
    return Complaints([Teaching("g", Grumbler(), weight)])


def test_an_objective_that_hardly_acts_is_told_of_once_with_the_remedy():
    watch = complaints(Weight(fixed=0.001))
    (text,) = watch.look({"share/g": 4e-7}, 20)
    assert text.startswith("objective 'g' hardly acts: its gradient is 4.0e-07 of the supervised one")
    assert "weight: {share: 0.25}" in text
    assert watch.look({"share/g": 4e-7}, 40) == []


def test_one_that_acts_or_that_still_rises_is_not():
    assert complaints(Weight(fixed=1.0)).look({"share/g": 0.05}, 20) == []
    rising = complaints(Weight(share=0.1, ramp_steps=100))
    assert rising.look({"share/g": 1e-4}, 20) == []
    assert rising.look({"share/g": 1e-4}, 100) != []
    assert complaints(Weight(fixed=1.0)).look({}, 20) == []


def test_an_objectives_own_complaint_is_told_when_it_lasts():
    watch = complaints(Weight(share=0.1))
    told = [watch.look({"itch": itch}, step) for step, itch in enumerate([2, 2, 2, 2, 0, 2, 2, 2, 2, 2, 2])]
    assert told[:9] == [[]] * 9
    assert told[9] == ["objective 'g': it itches"]
    assert told[10] == []
