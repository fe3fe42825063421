import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pipeline.losses.adversarial import discriminator_loss, generator_loss, gradient_penalty

FORMS = ["nonsaturating", "saturating"]


def logits(seed, batch=3):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(batch, 1, 4, 5, generator=generator, dtype=torch.float64)


def sigmoid(z):
    return 1 / (1 + np.exp(-z.numpy()))


def test_discriminator_is_minus_eq_5():
    real, fake = logits(0), logits(1, batch=5)
    adversarial = np.log(sigmoid(real)).mean() + np.log(1 - sigmoid(fake)).mean()
    assert discriminator_loss(real, fake).item() == pytest.approx(-adversarial, rel=1e-12)


def test_discriminator_is_two_cross_entropies():
    real, fake = logits(0), logits(1)
    expected = F.binary_cross_entropy_with_logits(
        real, torch.ones_like(real)
    ) + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert discriminator_loss(real, fake).item() == pytest.approx(expected.item(), rel=1e-12)


def test_generator_forms():
    fake = logits(2)
    expected = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    assert generator_loss(fake, "nonsaturating").item() == pytest.approx(expected.item(), rel=1e-12)
    eq_5 = np.log(1 - sigmoid(fake)).mean()
    assert generator_loss(fake, "saturating").item() == pytest.approx(eq_5, rel=1e-12)
    assert generator_loss(fake).item() == generator_loss(fake, "nonsaturating").item()


@pytest.mark.parametrize("form", FORMS)
def test_players_pull_the_fake_logits_apart(form):
    fake, real = logits(3).requires_grad_(), logits(4).requires_grad_()
    (up,) = torch.autograd.grad(generator_loss(fake, form), fake)
    down, real_up = torch.autograd.grad(discriminator_loss(real, fake), (fake, real))
    assert up.lt(0).all()
    assert down.gt(0).all()
    assert real_up.lt(0).all()


def test_saturating_form_is_what_the_discriminator_loses():
    """Eq. 4 is one zero-sum game: G's saturating loss is the negative of D's term on fakes."""
    fake = logits(5)
    sure_real = torch.full((1, 1, 2, 2), 1e4)
    assert generator_loss(fake, "saturating").item() == pytest.approx(
        -discriminator_loss(sure_real, fake).item()
    )


def test_gradcheck():
    real, fake = logits(0, 2).requires_grad_(), logits(1, 2).requires_grad_()
    weights = torch.tensor([0.5, 1.5], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda r, f: discriminator_loss(r, f, weights), (real, fake))
    for form in FORMS:
        assert torch.autograd.gradcheck(lambda f, form=form: generator_loss(f, form, weights), fake)


def test_gradients_where_the_forms_differ():
    """D certain of the fake: the saturating gradient is gone, the non-saturating one is whole."""
    fake = torch.full((1, 1, 1, 1), -30.0, requires_grad=True)
    (whole,) = torch.autograd.grad(generator_loss(fake, "nonsaturating"), fake)
    (gone,) = torch.autograd.grad(generator_loss(fake, "saturating"), fake)
    assert whole.item() == pytest.approx(-1.0)
    assert abs(gone.item()) < 1e-12


@pytest.mark.parametrize("value", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_are_finite(value, dtype):
    z = torch.full((2, 1, 3, 3), value, dtype=dtype, requires_grad=True)
    total = discriminator_loss(z, z) + sum(generator_loss(z, form) for form in FORMS)
    assert total.dtype == torch.float32
    total.backward()
    assert total.isfinite()
    assert z.grad.isfinite().all()


def test_weights_are_means_over_the_samples_that_count():
    real, fake = logits(6), logits(7)
    on = torch.tensor([1.0, 0.0, 1.0])
    kept = [0, 2]
    expected = discriminator_loss(real[kept], fake)
    assert discriminator_loss(real, fake, real_weight_B=on).item() == pytest.approx(expected.item())
    expected = discriminator_loss(real, fake[kept])
    assert discriminator_loss(real, fake, fake_weight_B=on.bool()).item() == pytest.approx(expected.item())
    weights = torch.tensor([0.5, 0.0, 1.5])
    for form in FORMS:
        each = [generator_loss(fake[i : i + 1], form).item() for i in range(3)]
        expected = (0.5 * each[0] + 1.5 * each[2]) / 2
        assert generator_loss(fake, form, weights).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_no_sample_counts(form):
    fake = logits(8).requires_grad_()
    value = generator_loss(fake, form, torch.zeros(3))
    value.backward()
    assert value.item() == 0.0
    assert fake.grad.eq(0).all()


def test_unknown_form():
    with pytest.raises(ValueError, match="saturating"):
        generator_loss(logits(0), "hinge")


def quadratic(x):
    """Two patches a sample, ½ a·x² and 3 Σx: the mean logit has the gradient ½ (a x + 3)."""
    return torch.stack([0.5 * (2.0 * x.square()).flatten(1).sum(1), 3.0 * x.flatten(1).sum(1)], 1)


def test_gradient_penalty_by_hand():
    x = torch.rand(4, 2, 3, 3)
    per_sample = (0.5 * (2.0 * x + 3.0)).square().flatten(1).sum(1)
    torch.testing.assert_close(gradient_penalty(quadratic, x), per_sample.mean())
    weight = torch.tensor([True, False, True, False])
    torch.testing.assert_close(gradient_penalty(quadratic, x, weight), per_sample[weight].mean())


def test_gradient_penalty_has_a_gradient_to_the_weights_by_finite_differences():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 2), torch.nn.Tanh(), torch.nn.Conv2d(3, 1, 2)
    ).double()
    x = torch.rand(3, 2, 4, 4)

    def penalty(weight):
        parameters = dict(network.named_parameters()) | {"0.weight": weight}
        # The penalty is in float32: the network takes it from there.
        call = lambda pairs: torch.func.functional_call(network, parameters, pairs.double())  # noqa: E731
        return gradient_penalty(call, x).double()

    weight = network[0].weight.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(penalty(weight), weight)
    step = torch.randn_like(weight)
    slope = (penalty(weight + 1e-3 * step) - penalty(weight - 1e-3 * step)) / 2e-3
    torch.testing.assert_close(slope.detach(), (gradient * step).sum(), rtol=1e-3, atol=1e-7)
