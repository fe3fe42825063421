import numpy as np
import torch

from pipeline.losses.softargmax_l2 import LOSS, SoftargmaxL2, point_distance


def test_equals_an_independent_numpy_form():
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(2, 3, 6, 7)), rng.uniform(0, 6, size=(2, 3, 2))
    p = np.exp(2.0 * logits)
    p /= p.sum((-2, -1), keepdims=True)
    rows, columns = np.mgrid[:6, :7]
    points = np.stack([(p * columns).sum((-2, -1)), (p * rows).sum((-2, -1))], axis=-1)
    reference = np.sqrt(((points - target) ** 2).sum(-1)).mean()
    ours = SoftargmaxL2(beta=2.0)(torch.tensor(logits), torch.tensor(target))
    np.testing.assert_allclose(ours.item(), reference, rtol=1e-12)


def test_distance_is_euclidean_in_pixels():
    assert point_distance(torch.tensor([[[3.0, 4.0]]]), torch.zeros(1, 1, 2)).tolist() == [[5.0]]


def test_gradient_at_zero_distance_is_zero():
    points = torch.ones(2, 3, 2, requires_grad=True)
    point_distance(points, torch.ones(2, 3, 2)).sum().backward()
    assert points.grad.eq(0).all()


def test_the_spread_costs_nothing():
    """The weakness LaplaceKL is there for: a flat heatmap scores as well as a sharp one."""
    target = torch.tensor([[[4.0, 4.0]]])
    flat, sharp = torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 9, 9)
    sharp[0, 0, 4, 4] = 100.0
    loss = SoftargmaxL2()
    torch.testing.assert_close(loss(flat, target), loss(sharp, target), rtol=0, atol=1e-5)


def test_true_scale_only_changes_what_is_drawn():
    logits, target = torch.randn(1, 2, 9, 9), torch.full((1, 2, 2), 4.0)
    narrow, wide = SoftargmaxL2(true_scale=0.5), SoftargmaxL2(true_scale=3.0)
    assert torch.equal(narrow(logits, target), wide(logits, target))
    assert narrow.draw_true(target, (9, 9)).max() > wide.draw_true(target, (9, 9)).max()


def test_found_by_name():
    assert LOSS is SoftargmaxL2
