"""The distance against an exact linear program, an independent Sinkhorn and POT (Python Optimal Transport)."""

import math

import numpy as np
import ot
import pytest
import torch
from scipy import optimize, sparse, special

from pipeline.errors import ConfigError
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.sinkhorn import disc, finest_epsilon, schedule
from pipeline.losses.wasserstein import LOSS, Wasserstein, support_radius, target_window, wasserstein


def heatmaps(size, seed=5, count=6):
    """Blobs on, near and far from the landmarks, on a background of a few per mille."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    last = torch.tensor([width - 1.0, height - 1.0], dtype=torch.float64)
    target = torch.rand(count, 2, generator=generator, dtype=torch.float64) * last
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rows = []
    for i in range(count):
        near = (0.5, 2.0, 5.0)[i % 3] * torch.randn(2, generator=generator, dtype=torch.float64)
        centre = (target[i] + near).clamp(min=0).minimum(last)
        sigma = 0.8 + 2 * torch.rand((), generator=generator).item()
        blob = -((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * sigma**2)
        rows.append(torch.maximum(blob, torch.tensor(-10.0)) + 0.3 * torch.randn(size, generator=generator))
    return torch.stack(rows).flatten(1).softmax(-1).view(1, count, *size), target[None]


def costs(size, cells):
    """Euclidean distances between all pixels and some of them, and the pixels."""
    y, x = np.mgrid[: size[0], : size[1]]
    grid = np.stack([x.ravel(), y.ravel()], -1).astype(float)
    return np.hypot(*(grid[:, None] - grid[None, cells]).transpose(2, 0, 1))


def exact(p, q):
    """W₁ of two heatmaps by the linear program of eq. 4, on the cells that hold mass."""
    cells = np.flatnonzero(q.ravel() > 1e-7)
    u, v = p.ravel() / p.sum(), q.ravel()[cells] / q.ravel()[cells].sum()
    n, m = len(u), len(v)
    rows = sparse.kron(sparse.eye(n), np.ones((1, m)))
    columns = sparse.kron(np.ones((1, n)), sparse.eye(m))
    solved = optimize.linprog(
        costs(p.shape, cells).ravel(),
        A_eq=sparse.vstack([rows, columns]).tocsr()[:-1],
        b_eq=np.concatenate([u, v])[:-1],
        method="highs",
    )
    assert solved.status == 0
    return solved.fun


def log_domain_sinkhorn(p, q, epsilon, iterations):
    """OT_ε by the textbook: dense costs, logarithms throughout, ε-scaling; numpy alone."""
    cells = np.flatnonzero(q.ravel() > 0)
    u, v = p.ravel() / p.sum(), q.ravel()[cells] / q.ravel()[cells].sum()
    cost = costs(p.shape, cells)
    log_u, log_v, g = np.log(u), np.log(v), np.zeros(len(v))
    for level in [epsilon * 2**k for k in range(6, -1, -1)]:
        for _ in range(iterations):
            f = -level * special.logsumexp((g - cost) / level + log_v, axis=1)
            g = -level * special.logsumexp((f[:, None] - cost) / level + log_u[:, None], axis=0)
    f = -epsilon * special.logsumexp((g - cost) / epsilon + log_v, axis=1)
    return u @ f + v @ g


@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_within_a_hundredth_of_the_exact_linear_program_on_12_by_12(sigma):
    p, target = heatmaps((12, 12))
    q = gaussian_heatmaps(target, (12, 12), sigma)
    reference = np.array([exact(p[0, k].numpy(), q[0, k].numpy()) for k in range(p.shape[1])])
    assert reference.min() < 1.0 < reference.max()
    np.testing.assert_allclose(
        wasserstein(p, target, sigma)[0], reference, rtol=0.01, atol=0.01 * max(1.0, reference.min())
    )
    fine = wasserstein(p, target, sigma, epsilon=finest_epsilon(support_radius(sigma)), iterations=100)
    np.testing.assert_allclose(fine[0], reference, rtol=0.01)


def windowed(p, target, sigma, k):
    """The true heatmap that the loss takes: cut to the disc."""
    height, width = p.shape[-2:]
    v, origin, offsets = target_window(target, (height, width), sigma)
    cut = np.zeros((height, width))
    for mass, (x, y) in zip(v[0, k].tolist(), (origin[0, k] + offsets).tolist(), strict=True):
        if mass > 0:
            cut[y, x] = mass
    return cut


@pytest.mark.parametrize(("sigma", "epsilon", "count"), [(1.0, 0.1, 3), (3.0, 0.4, 1)])
def test_entropic_value_equals_an_independent_log_domain_sinkhorn_on_64_by_64(sigma, epsilon, count):
    p, target = heatmaps((64, 64), count=count)
    ours = wasserstein(p, target, sigma, epsilon, iterations=60, extrapolate=False)
    for k in range(count):
        reference = log_domain_sinkhorn(p[0, k].numpy(), windowed(p, target, sigma, k), epsilon, 8)
        assert ours[0, k].item() == pytest.approx(reference, rel=1e-3)


def marginals(p, q):
    """Masses u of all pixels and v of those that hold mass, and the costs between, as POT takes them."""
    cells = np.flatnonzero(q.ravel() > 0)
    u, v = p.ravel() / p.sum(), q.ravel()[cells] / q.ravel()[cells].sum()
    return u, v, np.ascontiguousarray(costs(p.shape, cells))


def pot_entropic(u, v, cost, epsilon):
    """POT's log-domain Sinkhorn: OT_ε as ours, ε KL(π ‖ u ⊗ v), and its derivative by u, of mean 0 under u."""
    plan, log = ot.bregman.sinkhorn_log(
        u, v, cost, epsilon, numItermax=20000, stopThr=1e-10, warn=True, log=True
    )
    kl = special.rel_entr(plan, np.outer(u, v)).sum()
    f = epsilon * (log["log_u"] - np.log(u))
    return (plan * cost).sum() + epsilon * kl, f - u @ f


@pytest.mark.parametrize(("sigma", "epsilon"), [(1.0, 0.2), (1.5, 0.5)])
def test_entropic_value_and_gradient_are_within_a_hundredth_of_pots_on_64_by_64(sigma, epsilon):
    p, target = heatmaps((64, 64), count=3)
    p.requires_grad_()
    ours = wasserstein(p, target, sigma, epsilon, iterations=100, extrapolate=False)
    (gradient,) = torch.autograd.grad(ours.sum(), p)
    for k in range(3):
        heatmap = p[0, k].detach().numpy()
        u, v, cost = marginals(heatmap, windowed(p.detach(), target, sigma, k))
        value, expected = pot_entropic(u, v, cost, epsilon)
        assert ours[0, k].item() == pytest.approx(value, rel=0.01)
        found = gradient[0, k].numpy().ravel()
        # The heatmap is normalised inside, so neither holds a constant.
        assert np.abs(found - u @ found - expected).max() < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_value_and_slope_are_within_a_hundredth_of_pots_exact_cost_on_12_by_12(sigma):
    """At the defaults; the slope from each mixture of two heatmaps towards one of them."""
    p, target = heatmaps((12, 12))
    target = target[:, :1].expand(-1, p.shape[1], -1)
    others = p.roll(1, dims=1)
    mixtures = (0.5 * (p + others)).requires_grad_()
    ours = wasserstein(mixtures, target, sigma)
    (gradient,) = torch.autograd.grad(ours.sum(), mixtures)
    for k in range(p.shape[1]):
        q = windowed(p, target, sigma, k)
        u, v, cost = marginals(mixtures[0, k].detach().numpy(), q)
        assert ours[0, k].item() == pytest.approx(ot.emd2(u, v, cost), rel=0.01)
        way = (others[0, k] - p[0, k]).numpy().ravel()
        more, less = ot.emd2(u + 0.02 * way, v, cost), ot.emd2(u - 0.02 * way, v, cost)
        slope = way @ gradient[0, k].numpy().ravel()
        assert slope == pytest.approx((more - less) / 0.04, rel=0.01, abs=0.01)


def test_within_a_hundredth_of_pots_exact_cost_on_64_by_64():
    p, target = heatmaps((64, 64), count=3)
    q = gaussian_heatmaps(target, (64, 64), 1.0).numpy()
    for k in range(3):
        u, v, cost = marginals(p[0, k].numpy(), np.where(q[0, k] > 1e-7, q[0, k], 0))
        reference = ot.emd2(u, v, cost, numItermax=10**6)
        assert wasserstein(p, target)[0, k].item() == pytest.approx(reference, rel=0.01, abs=0.01)


def test_translated_mass_costs_its_distance():
    """W₁ of a distribution and its copy moved by d is |d| exactly."""
    centre = torch.tensor([[[20.0, 30.0]]], dtype=torch.float64)
    for step in ((7.0, 0.0), (-3.0, 4.0), (30.0, -20.0)):
        p = gaussian_heatmaps(centre + torch.tensor(step), (64, 64), 1.0)
        assert wasserstein(p, centre).item() == pytest.approx(math.hypot(*step), rel=0.01)
    assert abs(wasserstein(gaussian_heatmaps(centre, (64, 64), 1.0), centre).item()) < 0.02


@pytest.mark.parametrize("extrapolate", [True, False])
def test_gradcheck(extrapolate):
    """Iterated to the end, the potentials are the derivative of the value."""
    logits = torch.randn(1, 2, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.tensor([[[2.2, 1.7], [3.9, 0.4]]], dtype=torch.float64)

    def loss(z):
        p = z.flatten(2).softmax(-1).view(z.shape)
        return wasserstein(p, target, 1.0, epsilon=0.5, iterations=100, extrapolate=extrapolate)

    assert torch.autograd.gradcheck(loss, logits.requires_grad_())


@pytest.mark.parametrize(("first", "second"), [(0, 1), (4, 5)])
def test_gradient_at_its_defaults_is_that_of_the_exact_cost(first, second):
    """From the mixture of two heatmaps towards one of them, the linear program's value changes as the gradient says."""
    p, target = heatmaps((12, 12))
    target = target[:, :1]
    q = gaussian_heatmaps(target, (12, 12), 1.0)[0, 0].numpy()
    one, other = p[0, first], p[0, second]
    mixture = (0.5 * (one + other))[None, None].requires_grad_()
    (gradient,) = torch.autograd.grad(wasserstein(mixture, target).sum(), mixture)
    more, less = (exact(((1 - t) * one + t * other).numpy(), q) for t in (0.52, 0.48))
    assert ((other - one) * gradient[0, 0]).sum().item() == pytest.approx((more - less) / 0.04, rel=0.02)


@pytest.mark.parametrize("place", [(0.0, 0.0), (31.0, 31.0), (-20.0, 15.4), (15.5, 90.0)])
def test_landmarks_on_and_beyond_the_border(place):
    target = torch.tensor([[place]])
    logits = torch.zeros(1, 1, 32, 32, requires_grad=True)
    value = LOSS()(logits, target)
    value.backward()
    inside = [min(max(c, 0.0), 31.0) for c in place]
    y, x = np.mgrid[:32, :32]
    assert value.item() == pytest.approx(np.hypot(x - inside[0], y - inside[1]).mean(), rel=0.15)
    assert logits.grad.isfinite().all()
    v, _, _ = target_window(target, (32, 32), 1.0)
    torch.testing.assert_close(v.sum(-1), torch.ones(1, 1))


def test_float32_autocast_and_chunks_do_not_change_the_value(monkeypatch):
    p, target = heatmaps((24, 24), count=6)
    exact_value = wasserstein(p, target)
    torch.testing.assert_close(wasserstein(p.float(), target).double(), exact_value, rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(wasserstein(p.float(), target).double(), exact_value, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr("pipeline.losses.sinkhorn._CHUNK", 2)
    torch.testing.assert_close(wasserstein(p, target), exact_value)


def test_schedule_and_disc():
    assert schedule(0.1, 1.0) == [1.6, 0.8, 0.4, 0.2, 0.1]
    assert schedule(2.0, 1.0) == [8.0, 4.0, 2.0]
    offsets = disc(4.0)
    assert len(offsets) == 49
    assert offsets[24].tolist() == [0, 0]


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ConfigError, match="epsilon is 0.001; at true_scale 3 it must be"):
        Wasserstein(true_scale=3.0, epsilon=0.001)
    with pytest.raises(ConfigError, match="iterations"):
        Wasserstein(iterations=0)
    assert LOSS is Wasserstein
    Wasserstein(true_scale=3.0)
