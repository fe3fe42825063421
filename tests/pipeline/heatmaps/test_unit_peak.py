import numpy as np
import pytest
import torch

from pipeline.heatmaps.unit_peak import unit_gaussian_heatmaps


def test_equals_the_formula_at_every_pixel():
    points = torch.tensor([[[3.2, 1.7], [-2.0, 9.0]]], dtype=torch.float64)
    drawn = unit_gaussian_heatmaps(points, (5, 7), 1.3).numpy()
    y, x = np.mgrid[:5, :7]
    for k, (px, py) in enumerate(points[0].tolist()):
        reference = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.3**2))
        np.testing.assert_allclose(drawn[0, k], reference, rtol=1e-12)


def test_height_is_1_on_a_pixel_and_masked_ones_are_empty():
    points = torch.tensor([[[3.0, 2.0], [torch.nan, torch.nan]]])
    drawn = unit_gaussian_heatmaps(points, (5, 7), 1.0, torch.tensor([[True, False]]))
    assert drawn[0, 0, 2, 3].item() == 1.0
    assert drawn[0, 1].eq(0).all()


def test_mirroring_the_points_mirrors_the_heatmaps():
    points = torch.rand(1, 3, 2, dtype=torch.float64) * 15
    mirrored = torch.stack([15 - points[..., 0], points[..., 1]], dim=-1)
    torch.testing.assert_close(
        unit_gaussian_heatmaps(mirrored, (16, 16)), unit_gaussian_heatmaps(points, (16, 16)).flip(-1)
    )


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_a_width_that_draws_nothing_is_refused(bad):
    with pytest.raises(ValueError, match="sigma"):
        unit_gaussian_heatmaps(torch.zeros(1, 3, 2), (4, 4), bad)
