"""What holds for every loss on points; the numbers of each against numpy; and coordinate losses on heatmaps."""

import math

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.losses.adl import ADL
from pipeline.losses.anisotropic import Anisotropic
from pipeline.losses.decoded import Decoded
from pipeline.losses.gaussian_log_likelihood import GaussianLogLikelihood
from pipeline.losses.l1 import L1
from pipeline.losses.l2 import L2
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.losses.smooth_l1 import SmoothL1
from pipeline.losses.softargmax_l2 import SoftargmaxL2
from pipeline.losses.wing import Wing
from pipeline.registry import Part
from pipeline.registry import build as build_part

B, K = 3, 5
RING = torch.tensor([[4, 1], [0, 2], [1, 3], [2, 4], [3, 0]])
LOSSES = {
    "l1": L1,
    "l2": L2,
    "smooth_l1": SmoothL1,
    "wing": Wing,
    "anisotropic": lambda: Anisotropic(RING, corners=(2,)),
    "adl": lambda: ADL(RING),
    "adl1": lambda: ADL(RING, kind="n1", normal="second_difference"),
    "adl2": lambda: ADL(RING, kind="n2"),
}
every_loss = pytest.mark.parametrize("build", LOSSES.values(), ids=LOSSES)


def sample(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    target = 40 * torch.rand(B, K, 2, generator=generator, dtype=torch.float64)
    points = target + 4 * torch.randn(B, K, 2, generator=generator, dtype=torch.float64)
    mask = torch.tensor([[1, 1, 0, 1, 1], [0, 1, 0, 0, 0], [1, 0, 1, 1, 1]], dtype=torch.bool)
    return points.to(dtype).requires_grad_(), target, mask


@every_loss
def test_is_the_mean_over_annotated_landmarks(build):
    points, target, mask = sample()
    loss = build()
    single = loss.per_landmark(points, target, mask)
    assert single.shape == (B, K)
    torch.testing.assert_close(loss(points, target, mask), single[mask].mean())
    torch.testing.assert_close(loss(points, target), loss.per_landmark(points, target).mean())


@every_loss
@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e30])
def test_masked_landmarks_have_no_influence_not_even_as_neighbours(build, junk):
    points, target, mask = sample()
    loss = build()
    value = loss(points, target, mask)
    (gradient,) = torch.autograd.grad(value, points)
    assert gradient[~mask].eq(0).all()
    assert gradient[mask].ne(0).any(-1).all()
    target[~mask] = junk
    again = loss(points, target, mask)
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(torch.autograd.grad(again, points)[0], gradient)
    nothing = loss(points, target * math.nan, torch.zeros_like(mask))
    assert nothing.item() == 0.0
    assert torch.autograd.grad(nothing, points)[0].eq(0).all()


@every_loss
def test_zero_error_is_zero_with_a_zero_gradient(build):
    _, target, _ = sample()
    points = target.clone().requires_grad_()
    value = build()(points, target)
    value.backward()
    assert value.item() == 0.0
    assert points.grad.eq(0).all()


@every_loss
def test_gradcheck(build):
    points, target, _ = sample()
    assert torch.autograd.gradcheck(lambda p: build()(p, target), points)


@every_loss
def test_bfloat16_predictions_against_float32_targets(build):
    points, target, mask = sample(torch.bfloat16)
    value = build()(points, target.float(), mask)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(build()(points.detach().double(), target, mask).item(), rel=1e-4)
    value.backward()
    assert points.grad.isfinite().all()


def errors():
    points, target, _ = sample()
    return points.detach(), target, (points.detach() - target).numpy()


def test_l1_l2_and_smooth_l1_by_numpy():
    points, target, e = errors()
    np.testing.assert_allclose(L1()(points, target), np.abs(e).sum(-1).mean(), rtol=1e-12)
    np.testing.assert_allclose(L2()(points, target), (e**2).sum(-1).mean(), rtol=1e-12)
    a = np.abs(e)
    smooth = np.where(a < 2.0, 0.5 * a**2 / 2.0, a - 1.0)
    np.testing.assert_allclose(SmoothL1(2.0)(points, target), smooth.sum(-1).mean(), rtol=1e-12)


def test_wing_by_numpy_and_its_joint():
    points, target, e = errors()
    a, omega, epsilon = np.abs(e), 3.0, 0.5
    c = omega - omega * np.log(1 + omega / epsilon)
    wing = np.where(a < omega, omega * np.log(1 + a / epsilon), a - c)
    assert (a < omega).any()
    assert (a >= omega).any()
    np.testing.assert_allclose(Wing(omega, epsilon)(points, target), wing.sum(-1).mean(), rtol=1e-12)
    at = lambda x: Wing()(torch.tensor([[[x, 0.0]]], dtype=torch.float64), torch.zeros(1, 1, 2)).item()  # noqa: E731
    assert at(10 - 1e-9) == pytest.approx(at(10 + 1e-9), abs=1e-7)
    assert (at(1e-6) - at(0.0)) / 1e-6 == pytest.approx(10 / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SmoothL1(0.0), "SmoothL1: threshold"),
        (lambda: Wing(omega=math.nan), "Wing: omega"),
        (lambda: Wing(epsilon=-1.0), "Wing: epsilon"),
    ],
)
def test_settings_that_cannot_work_are_refused(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def logits_and_target():
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(2, K, 12, 14, generator=generator, dtype=torch.float64)
    return logits.requires_grad_(), 11 * torch.rand(2, K, 2, generator=generator, dtype=torch.float64)


@every_loss
@pytest.mark.parametrize("decoder", ["softargmax", "temperature_softargmax", "relu_mean", "barycentre"])
def test_any_coordinate_loss_trains_through_any_differentiable_decoder(build, decoder):
    logits, target = logits_and_target()
    mask = torch.ones(2, K, dtype=torch.bool)
    mask[0, 1] = False
    target[0, 1] = math.nan
    decoder, loss = build_part("decoder", Part(name=decoder)), build()
    decoded = Decoded(loss, decoder)
    value = decoded(logits, target, mask)
    torch.testing.assert_close(value, loss(decoder.points(logits), target, mask))
    torch.testing.assert_close(decoded.decode(logits), decoder.points(logits))
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient.isfinite().all()
    assert gradient[mask].ne(0).any()
    assert gradient[~mask].eq(0).all()


def test_decoded_distance_is_softargmax_l2():
    """Two ways to one number: the squared distance of the softargmax."""
    logits, target = logits_and_target()
    apart = SoftargmaxL2().per_landmark(SoftargmaxL2().heatmaps(logits), target)
    torch.testing.assert_close(Decoded(L2())(logits, target), apart.square().mean())


def test_decoded_draws_normalised_heatmaps_and_reports_a_covariance():
    logits, target = logits_and_target()
    decoded = Decoded(GaussianLogLikelihood(), true_scale=1.5)
    drawn = decoded.draw_true(target, (12, 14))
    torch.testing.assert_close(drawn.sum((-2, -1)), torch.ones(2, K, dtype=torch.float64))
    assert decoded(logits, target).isfinite()
    assert decoded.covariance(decoded.heatmaps(logits)).shape == (2, K, 2, 2)


def test_impossible_pairs_are_recognised_with_the_reason():
    assert [c.needs for c in (LaplaceKL, L1, GaussianLogLikelihood)] == ["heatmaps", "points", "covariance"]
    for name in ("argmax", "quarter_shift", "dark"):
        with pytest.raises(ConfigError, match=f"L1 cannot train through decoder '{name}'.*softargmax"):
            Decoded(L1(), build_part("decoder", Part(name=name)))
    with pytest.raises(ConfigError, match="LaplaceKL is a loss on heatmaps"):
        Decoded(LaplaceKL())
