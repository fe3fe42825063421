"""The averaged generator's word: asked of each image and its mirror image, once a step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.losses.l1 import L1
from pipeline.markup import load_markup
from pipeline.methods.laplace import Laplace
from pipeline.methods.unlabelled.base import UnlabelledBatch
from pipeline.methods.unlabelled.teacher import ask_teacher
from pipeline.models.output import Output, Stage, Traits

MARKUP, SIDE = load_markup("mtfl5"), 64
METHOD = Laplace(L1(), Traits(gives=frozenset({"points"})), MARKUP, SIDE)
ORDER = torch.from_numpy(MARKUP.flip_permutation)


def test_objectives_of_one_step_ask_once_and_those_of_the_next_again(make_view):
    seen = []

    def teacher(images):
        seen.append(images)
        return Output((Stage(points=torch.rand(len(images), 5, 2) * SIDE),))

    def step():
        batch = UnlabelledBatch.unchanged(torch.rand(3, 3, SIDE, SIDE))
        return make_view(METHOD, Output((Stage(points=torch.zeros(3, 5, 2)),)), batch, teacher=teacher)

    view = step()
    first = ask_teacher(view, ORDER, SIDE)
    # As the step hands its view on to the next objective.
    second = ask_teacher(replace(view, own_output=None, context=1), ORDER, SIDE)
    assert second[0] is first[0]
    assert len(seen) == 1
    torch.testing.assert_close(
        seen[0], torch.cat([view.unlabelled.plain_B3HW, view.unlabelled.plain_B3HW.flip(-1)])
    )
    again = ask_teacher(step(), ORDER, SIDE)
    assert len(seen) == 2
    assert not torch.equal(again[0], first[0])


def test_a_step_without_one_says_so(make_view):
    batch = UnlabelledBatch.unchanged(torch.rand(3, 3, SIDE, SIDE))
    view = make_view(METHOD, Output((Stage(points=torch.zeros(3, 5, 2)),)), batch)
    with pytest.raises(TypeError, match="needs_teacher"):
        ask_teacher(view, ORDER, SIDE)
