"""What holds for every heatmap loss, run over all three."""

import math

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.heatmaps.decode import softargmax, spatial_softmax
from pipeline.losses import GaussianKL, LaplaceKL, SoftargmaxL2
from pipeline.losses.base import masked_mean

LOSSES = [LaplaceKL, GaussianKL, SoftargmaxL2]
every_loss = pytest.mark.parametrize("loss_class", LOSSES)
B, K, H, W = 3, 4, 12, 14


def sample(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(B, K, H, W, generator=generator, dtype=torch.float64)
    target = torch.rand(B, K, 2, generator=generator, dtype=torch.float64) * 11
    mask = torch.tensor([[1, 1, 0, 1], [0, 1, 0, 0], [1, 0, 1, 1]], dtype=torch.bool)
    return logits.to(dtype).requires_grad_(), target, mask


def test_masked_mean():
    values = torch.tensor([[1.0, 2.0], [3.0, 10.0]])
    assert masked_mean(values, None).item() == 4.0
    assert masked_mean(values, torch.tensor([[True, False], [True, False]])).item() == 2.0
    weights = torch.tensor([[0.5, 0.0], [0.0, 0.25]])
    assert masked_mean(values, weights).item() == pytest.approx((0.5 * 1 + 0.25 * 10) / 0.75)
    holes = torch.tensor([[1.0, math.nan], [3.0, math.inf]])
    assert masked_mean(holes, torch.tensor([[True, False], [True, False]])).item() == 2.0


@every_loss
def test_is_the_mean_over_annotated_landmarks(loss_class):
    logits, target, mask = sample()
    loss = loss_class()
    single = torch.stack(
        [loss(logits[b : b + 1, k : k + 1], target[b : b + 1, k : k + 1]) for b in range(B) for k in range(K)]
    ).view(B, K)
    torch.testing.assert_close(loss(logits, target, mask), single[mask].mean())
    torch.testing.assert_close(loss(logits, target), single.mean())


@every_loss
@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e30])
def test_masked_landmarks_have_no_influence(loss_class, junk):
    logits, target, mask = sample()
    loss = loss_class()
    value = loss(logits, target, mask)
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient[~mask].eq(0).all()
    assert gradient[mask].abs().amax((-2, -1)).gt(0).all()

    target[~mask] = junk
    spoilt = logits.detach().clone()
    spoilt[~mask] = 7.0 * torch.randn_like(spoilt[~mask])
    spoilt.requires_grad_()
    again = loss(spoilt, target, mask)
    (gradient_again,) = torch.autograd.grad(again, spoilt)
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(gradient_again, gradient)


@every_loss
def test_all_masked_is_zero_with_zero_gradients(loss_class):
    logits, target, mask = sample()
    value = loss_class()(logits, target * math.nan, torch.zeros_like(mask))
    assert value.item() == 0.0
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient.eq(0).all()


@every_loss
def test_gradcheck(loss_class):
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 2, 4, 5, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.tensor([[[1.2, 2.7], [3.9, 0.4]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss_class(beta=1.3)(z, target), logits)


@every_loss
def test_a_collapsed_heatmap_is_finite_in_value_and_gradient(loss_class):
    logits = torch.full((1, 2, H, W), -1e4)
    logits[:, :, 5, 6] = 1e4
    logits.requires_grad_()
    target = torch.tensor([[[6.0, 5.0], [2.0, 9.0]]])
    value = loss_class()(logits, target)
    assert value.isfinite()
    value.backward()
    assert logits.grad.isfinite().all()


@every_loss
def test_a_uniform_heatmap_on_the_landmark_is_finite(loss_class):
    """Zero error at the start of training: the mean of a flat heatmap is the centre."""
    logits = torch.zeros(1, 1, 11, 13, requires_grad=True)
    value = loss_class()(logits, torch.tensor([[[6.0, 5.0]]]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits(loss_class, dtype):
    logits, target, mask = sample(dtype)
    loss = loss_class()
    value = loss(logits, target.float(), mask)
    assert value.dtype == torch.float32
    exact = loss(logits.detach().double(), target, mask)
    assert value.item() == pytest.approx(exact.item(), rel=1e-4)
    value.backward()
    assert logits.grad.dtype == dtype
    assert logits.grad.isfinite().all()


@every_loss
def test_probabilities_may_be_reused(loss_class):
    logits, target, mask = sample()
    loss = loss_class(beta=0.7)
    p_BKHW = loss.heatmaps(logits)
    torch.testing.assert_close(p_BKHW, spatial_softmax(logits, 0.7))
    torch.testing.assert_close(
        loss.forward_from_probabilities(p_BKHW, target, mask), loss(logits, target, mask)
    )
    torch.testing.assert_close(loss.decode(logits), softargmax(logits, 0.7))


@every_loss
@pytest.mark.parametrize("true_scale", [1.0, 2.0])
def test_the_drawn_heatmap_is_the_one_the_loss_wants(loss_class, true_scale):
    """Of drawn heatmaps of several scales and places, the true one costs least, and almost nothing."""
    target = torch.tensor([[[40.0, 37.0]]], dtype=torch.float64)
    loss = loss_class(true_scale=true_scale)
    own = loss.forward_from_probabilities(loss.draw_true(target, (80, 80)), target)
    assert abs(own.item()) < 0.01
    displaced = loss.draw_true(target + 3.0, (80, 80))
    assert loss.forward_from_probabilities(displaced, target).item() > own.item() + 0.5
    if loss_class is not SoftargmaxL2:
        for factor in (0.5, 2.0):
            other = loss_class(true_scale=true_scale * factor).draw_true(target, (80, 80))
            assert loss.forward_from_probabilities(other, target).item() > own.item() + 0.05


@every_loss
def test_masked_landmarks_are_drawn_empty(loss_class):
    _, target, mask = sample()
    drawn = loss_class().draw_true(target, (H, W), mask)
    torch.testing.assert_close(drawn.sum((-2, -1)), mask.double())


@every_loss
@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["true_scale", "beta"])
def test_settings_that_cannot_work_are_refused(loss_class, name, bad):
    with pytest.raises(ConfigError, match=f"{loss_class.__name__}: {name}"):
        loss_class(**{name: bad})


@every_loss
def test_descending_moves_the_heatmap_onto_the_landmark(loss_class):
    torch.manual_seed(0)
    logits = torch.zeros(1, 1, 20, 20, requires_grad=True)
    target = torch.tensor([[[13.0, 5.5]]])
    loss = loss_class()
    optimizer = torch.optim.Adam([logits], 0.1)
    for _ in range(300):
        optimizer.zero_grad()
        loss(logits, target).backward()
        optimizer.step()
    assert (loss.decode(logits) - target).norm().item() < 0.2
