import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.losses.curves import (
    check_neighbours,
    corner_landmarks,
    curve_neighbours,
    second_difference,
    tangents,
)
from pipeline.markup import Curve, Markup, load_markup

MARKUP = Markup(
    name="m",
    num_landmarks=9,
    curves=(Curve("open", (0, 1, 2)), Curve("eye", (3, 4, 5, 6), closed=True), Curve("shares", (2, 7))),
    flip_pairs=(),
)


def test_neighbours_of_open_closed_shared_and_lone_landmarks():
    assert curve_neighbours(MARKUP).tolist() == [
        [-1, 1], [0, 2], [1, -1], [6, 4], [3, 5], [4, 6], [5, 3], [2, -1], [-1, -1],
    ]  # fmt: skip


def test_corners_are_ends_of_closed_curves_and_what_curves_share():
    assert corner_landmarks(MARKUP) == (2, 3, 5)
    assert corner_landmarks(load_markup("ibug68")) == (36, 39, 42, 45, 48, 54, 60, 64)


def test_tangents_of_a_circle_are_perpendicular_to_its_radius():
    angle = torch.linspace(0, 2 * torch.pi, 9, dtype=torch.float64)[:8]
    radius = torch.stack((angle.cos(), angle.sin()), -1)
    index = torch.arange(8)
    ring = torch.stack(((index - 1) % 8, (index + 1) % 8), -1)
    found = tangents(30 + 10 * radius[None], ring)
    torch.testing.assert_close(
        (found[0] * radius).sum(-1), torch.zeros(8, dtype=torch.float64), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(1, 8, dtype=torch.float64))
    torch.testing.assert_close(second_difference(30 + 10 * radius[None], ring)[0], -radius)


def test_ends_masks_coincident_points_and_lone_landmarks():
    line = torch.tensor([[-1, 1], [0, 2], [1, -1], [-1, -1]])
    points = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [3.0, 0.0], [9.0, 9.0]]])
    found = tangents(points, line)[0].numpy()
    np.testing.assert_allclose(found, [[0.6, 0.8], [1, 0], [0, -1], [0, 0]], atol=1e-7)
    # The middle one without its next neighbour falls back on its previous one; the last has none left.
    mask = torch.tensor([[1.0, 1.0, 0.0, 1.0]])
    spoilt = points.clone()
    spoilt[0, 2] = torch.nan
    np.testing.assert_allclose(
        tangents(spoilt, line, mask)[0, :2].numpy(), [[0.6, 0.8], [0.6, 0.8]], atol=1e-7
    )
    alone = torch.tensor([[0.0, 1.0, 0.0, 1.0]])
    assert tangents(points, line, alone)[0, 1].eq(0).all()
    assert tangents(points * 0, line).eq(0).all()
    assert second_difference(points, line)[0, [0, 2, 3]].eq(0).all()


@pytest.mark.parametrize("bad", [torch.zeros(3, 2), torch.zeros(3, dtype=torch.long), torch.tensor([[0, 5]])])
def test_neighbours_that_are_none_are_refused(bad):
    with pytest.raises(ConfigError, match="who: neighbours are"):
        check_neighbours(bad, "who")
