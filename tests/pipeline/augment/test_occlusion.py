"""Rectangles cover exactly their pixels and the landmarks on them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.augment.occlusion import Occlusion, cover, covered
from pipeline.errors import ConfigError


@given(st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_covers_exactly(seed):
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(5, Occlusion.columns, generator=generator, dtype=torch.float64)
    boxes, paint = Occlusion(0.7, (0.0, 0.6)).draw(u, 20)
    before = torch.rand(5, 3, 20, 20, generator=generator)
    after = before.clone()
    cover(after, boxes, paint)
    every_pixel = torch.stack(torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="xy"), -1)
    hidden = covered(every_pixel.view(1, -1, 2).expand(5, -1, -1), boxes).view(5, 20, 20)
    assert torch.equal((after != before).all(1), hidden)
    assert torch.equal((after != before).any(1), hidden)
    for image, colour, mask, (left, top, right, bottom) in zip(
        after, paint, hidden, boxes.tolist(), strict=True
    ):
        assert mask.sum() == (right - left) * (bottom - top)
        assert (image[:, mask] == colour.float()[:, None]).all()


def test_a_landmark_belongs_to_its_pixel():
    boxes = torch.tensor([[5, 6, 10, 8]])
    points = torch.tensor([[[4.5, 6.0], [4.4, 6.0], [9.4, 7.4], [9.5, 7.0], [6.0, 7.5], [math.nan, 7.0]]])
    assert covered(points, boxes).tolist() == [[True, False, True, False, False, False]]


def test_an_empty_box_hides_nothing():
    image = torch.rand(1, 3, 8, 8)
    after = image.clone()
    cover(after, torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 3))
    assert torch.equal(after, image)
    assert not covered(torch.zeros(1, 1, 2), torch.zeros(1, 4)).any()


def test_draws_sizes_in_the_range():
    u = torch.rand(4000, Occlusion.columns, dtype=torch.float64)
    boxes, paint = Occlusion(0.4, (0.1, 0.3)).draw(u, 100)
    some = boxes[boxes[:, 2] > 0]
    assert len(some) / 4000 == pytest.approx(0.4, abs=0.03)
    whole = some[(some[:, :2] > 0).all(1) & (some[:, 2:] < 100).all(1)]
    size = whole[:, 2:] - whole[:, :2]
    assert size.min() >= 9
    assert size.max() <= 31
    assert size.double().mean() == pytest.approx(20, abs=1.5)
    assert boxes.min() >= 0
    assert boxes.max() <= 100
    assert 0 <= paint.min() < paint.max() < 1


@pytest.mark.parametrize("wrong", [(-0.1, (0.1, 0.2)), (0.1, (0.3, 0.2)), (0.1, (0.5, 1.2))])
def test_impossible_values_are_refused(wrong):
    with pytest.raises(ConfigError, match="occlusion"):
        Occlusion(*wrong)
