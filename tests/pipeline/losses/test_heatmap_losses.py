"""Heatmap L2, AWing, Jensen–Shannon and STAR: numbers against numpy and scipy, and their corners."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from pipeline.errors import ConfigError
from pipeline.heatmaps.decode import covariance, mean
from pipeline.losses import (
    STAR,
    AWing,
    HeatmapL2,
    JensenShannon,
    Wasserstein,
    awing,
    jensen_shannon,
    star,
)
from pipeline.losses.awing import foreground_map
from pipeline.losses.star import principal_direction

LOSSES = [HeatmapL2, AWing, JensenShannon, STAR, Wasserstein]
every_loss = pytest.mark.parametrize("loss_class", LOSSES)
B, K, H, W = 3, 4, 12, 14


def sample(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(B, K, H, W, generator=generator, dtype=torch.float64)
    target = torch.rand(B, K, 2, generator=generator, dtype=torch.float64) * 11
    mask = torch.tensor([[1, 1, 0, 1], [0, 1, 0, 0], [1, 0, 1, 1]], dtype=torch.bool)
    return logits.to(dtype).requires_grad_(), target, mask


@every_loss
@pytest.mark.parametrize("junk", [math.nan, 1e30])
def test_masked_landmarks_have_no_influence(loss_class, junk):
    logits, target, mask = sample()
    loss = loss_class()
    single = loss.per_landmark(loss.heatmaps(logits), target)
    value = loss(logits, target, mask)
    torch.testing.assert_close(value, single[mask].mean())
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient[~mask].eq(0).all()
    assert gradient[mask].abs().amax((-2, -1)).gt(0).all()
    target[~mask] = junk
    again = loss(logits, target, mask)
    torch.testing.assert_close(torch.autograd.grad(again, logits)[0], gradient)
    assert loss(logits, target * math.nan, torch.zeros_like(mask)).item() == 0.0


@every_loss
def test_collapsed_flat_and_half_precision_heatmaps_are_finite(loss_class):
    collapsed = torch.full((1, 2, H, W), -1e4)
    collapsed[:, :, 5, 6] = 1e4
    target = torch.tensor([[[6.0, 5.0], [2.0, 9.0]]])
    for logits in (collapsed, torch.zeros(1, 2, H, W), torch.zeros(1, 2, H, W, dtype=torch.bfloat16)):
        logits.requires_grad_()
        value = loss_class()(logits, target)
        value.backward()
        assert value.dtype == torch.float32
        assert value.isfinite()
        assert logits.grad.isfinite().all()


@every_loss
def test_what_it_draws_is_what_it_wants(loss_class):
    target = torch.tensor([[[20.0, 17.0]]], dtype=torch.float64)
    loss = loss_class()

    def at(shift):
        return loss.forward_from_probabilities(loss.draw_true(target + shift, (40, 40)), target).item()

    assert at(0.0) < at(0.5) < at(3.0)
    if loss_class is not STAR:  # which has no one heatmap that costs nothing
        assert abs(at(0.0)) < 0.02
    assert (loss.points(loss.draw_true(target, (40, 40))) - target).norm().item() < 0.01
    assert loss.covariance(loss.draw_true(target, (40, 40))).shape == (1, 1, 2, 2)


@every_loss
def test_descending_moves_the_heatmap_onto_the_landmark(loss_class):
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    target = torch.tensor([[[10.0, 4.5]]])
    loss = loss_class()
    optimizer = torch.optim.Adam([logits], 0.2)
    for _ in range(200):
        optimizer.zero_grad()
        loss(logits, target).backward()
        optimizer.step()
    assert (loss.decode(logits) - target).norm().item() < 0.2


@every_loss
def test_a_scale_that_cannot_work_is_refused(loss_class):
    with pytest.raises(ConfigError, match=f"{loss_class.__name__}: true_scale"):
        loss_class(true_scale=0.0)


@pytest.mark.parametrize("loss_class", [HeatmapL2, AWing, JensenShannon])
def test_gradcheck(loss_class):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 2, 4, 5, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.tensor([[[1.2, 2.7], [3.9, 0.4]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss_class()(z, target), logits)


def test_heatmap_l2_by_numpy():
    logits, target, _ = sample()
    y, x = np.mgrid[:H, :W]
    px, py = target.numpy()[..., 0, None, None], target.numpy()[..., 1, None, None]
    true = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 1.5**2))
    reference = ((logits.detach().numpy() - true) ** 2).mean()
    np.testing.assert_allclose(HeatmapL2(1.5)(logits, target).item(), reference, rtol=1e-12)


def test_awing_by_a_loop_over_its_formula():
    rng = np.random.default_rng(0)
    predicted, true = rng.uniform(-1, 2, 200), rng.uniform(0, 1, 200)
    omega, theta, epsilon, alpha = 14.0, 0.5, 0.7, 2.1
    reference = []
    for p, y in zip(predicted, true, strict=True):
        e, n = abs(y - p), alpha - y
        a = omega / (1 + (theta / epsilon) ** n) * n * (theta / epsilon) ** (n - 1) / epsilon
        c = theta * a - omega * math.log(1 + (theta / epsilon) ** n)
        reference.append(omega * math.log(1 + (e / epsilon) ** n) if e < theta else a * e - c)
    ours = awing(torch.tensor(predicted), torch.tensor(true), omega, theta, epsilon, alpha)
    np.testing.assert_allclose(ours, reference, rtol=1e-10)


def test_awing_joins_at_theta_and_is_flat_at_zero_error():
    true = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    for sign in (-1, 1):
        below, above = (true + sign * (0.5 + d) for d in (-1e-9, 1e-9))
        torch.testing.assert_close(awing(below, true), awing(above, true), atol=1e-6, rtol=0)
        slopes = [
            torch.autograd.grad(awing(z.requires_grad_(), true).sum(), z)[0]
            for z in (below.clone(), above.clone())
        ]
        torch.testing.assert_close(*slopes, atol=1e-5, rtol=0)
    here = true.clone().requires_grad_()
    assert torch.autograd.grad(awing(here, true).sum(), here)[0].eq(0).all()


def test_foreground_map_is_the_dilated_target():
    target = torch.zeros(1, 1, 6, 6)
    target[0, 0, 2, 2], target[0, 0, 5, 5] = 0.2, 0.19
    expected = torch.ones(6, 6)
    expected[1:4, 1:4] = 11.0
    assert torch.equal(foreground_map(target)[0, 0], expected)
    logits, points, _ = sample()
    assert AWing(foreground=10.0)(logits, points) > AWing()(logits, points)


def test_jensen_shannon_by_scipy_and_its_bounds():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(H * W), size=(2, 5))
    shape = (1, 5, H, W)
    ours = jensen_shannon(torch.tensor(p).view(shape), torch.tensor(q).view(shape))
    np.testing.assert_allclose(ours[0], jensenshannon(p, q, axis=1) ** 2, rtol=1e-9)
    apart = torch.zeros(1, 2, 2, 2)
    apart[0, 0, 0, 0] = apart[0, 1, 1, 1] = 1.0
    assert jensen_shannon(apart, apart.flip(1))[0, 0].item() == pytest.approx(math.log(2))
    assert jensen_shannon(apart, apart).eq(0).all()


def ellipse(angle, long=3.0, short=1.0):
    """A Gaussian heatmap with its long axis at an angle, and the unit vectors along and across."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(41, dtype=torch.float64)] * 2, indexing="xy"), -1) - 20
    along = torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)
    across = torch.tensor([-along[1], along[0]])
    exponent = ((grid @ along) / long) ** 2 + ((grid @ across) / short) ** 2
    p = torch.exp(-0.5 * exponent)
    return (p / p.sum())[None, None], along, across


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.5, 2.8])
def test_star_finds_the_axes_and_weighs_errors_by_them(angle):
    p, along, across = ellipse(angle)
    values, vectors = np.linalg.eigh(covariance(p)[0, 0].numpy())
    direction = principal_direction(covariance(p))[0, 0]
    assert abs(direction @ torch.tensor(vectors[:, 1])).item() == pytest.approx(1.0, abs=1e-9)
    small, large = np.sqrt(values + 1 / 12)
    # A parabola up to 0.32 px, 0.01 of half of 64 px, as the authors' code has it; then a line.
    for threshold, loss in ((0.32, STAR(weight=0.25)), (1.0, STAR(weight=0.25, threshold=1.0))):
        for step, scale in ((along, large), (across, small)):
            for error in (0.2, 4.0):
                target = (mean(p)[0, 0] + error * step)[None, None]
                distance = error - threshold / 2 if error > threshold else error**2 / (2 * threshold)
                expected = distance / scale + 0.25 * values.sum()
                assert loss.per_landmark(p, target).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("distance", ["l1", "l2", "smooth_l1"])
def test_star_gradients_with_the_directions_held(distance):
    p, _, _ = ellipse(0.7)
    direction = principal_direction(covariance(p)).repeat(1, 3, 1)
    rng = np.random.default_rng(0)
    m, target = torch.tensor(rng.normal(size=(2, 1, 3, 2)) * 3)
    sigma = covariance(p).repeat(1, 3, 1, 1).clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m, s: star(m, s, target, direction, distance=distance), (m.requires_grad_(), sigma)
    )


def test_star_restrictions():
    p, _, across = ellipse(0.3)
    target = mean(p) + 3.0 * across
    sigma = covariance(p).requires_grad_()
    direction = principal_direction(sigma)
    arguments = (mean(p), sigma, target, direction)
    held = star(*arguments, restriction="detach")
    free = star(*arguments, weight=0.0)
    torch.testing.assert_close(held, free)
    assert not held.requires_grad
    (gradient,) = torch.autograd.grad(free.sum(), sigma)
    assert (gradient[0, 0] @ across) @ across < 0, "unrestricted, widening the heatmap lowers the loss"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: AWing(alpha=2.0), "AWing: alpha is 2.0; it must be greater than 2"),
        (lambda: AWing(foreground=-1.0), "AWing: foreground"),
        (lambda: STAR(weight=-1.0), "STAR: weight"),
        (lambda: STAR(distance="l3"), "STAR: distance is 'l3'"),
    ],
)
def test_settings_that_cannot_work_are_refused(build, message):
    with pytest.raises(ConfigError, match=message):
        build()
