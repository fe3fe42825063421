"""Every pair of network and loss, against the same numbers written out: units, stages, masks, decoders, uncertainty."""

import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.heatmaps.decoders.argmax import Argmax
from pipeline.heatmaps.decoders.dark import Dark
from pipeline.heatmaps.decoders.softargmax import Softargmax
from pipeline.heatmaps.draw import gaussian_heatmaps, laplace_heatmaps
from pipeline.losses.adl import ADL
from pipeline.losses.awing import AWing
from pipeline.losses.gaussian_log_likelihood import GaussianLogLikelihood
from pipeline.losses.heatmap_l2 import HeatmapL2
from pipeline.losses.l1 import L1
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.losses.smooth_l1 import SmoothL1
from pipeline.losses.wasserstein import Wasserstein as WassersteinLoss
from pipeline.markup import load_markup
from pipeline.methods.anisotropic import Anisotropic
from pipeline.methods.laplace import Laplace
from pipeline.methods.uglli import UGLLI
from pipeline.methods.wasserstein import Wasserstein
from pipeline.models.output import Output, Stage, Traits

MARKUP, K, SIDE = load_markup("mtfl5"), 5, 64
HEATMAPS = Traits()
QUARTER = Traits(stride=4)
POINTS = Traits(gives=frozenset({"points"}))
CHOLESKY = Traits(gives=frozenset({"heatmaps", "cholesky"}), stride=4)


def points_of(batch: int = 2, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, K, 2, generator=generator) * (SIDE - 24) + 12


def scores_at(points_px: torch.Tensor, stride: int, scale: float = 1.0) -> torch.Tensor:
    """Scores whose softmax is a Gaussian around given input pixels."""
    cells = (points_px + 0.5) / stride - 0.5
    return gaussian_heatmaps(cells, (SIDE // stride, SIDE // stride), scale).clamp(min=1e-30).log()


def known(batch: int = 2) -> torch.Tensor:
    return torch.ones(batch, K, dtype=torch.bool)


def test_heatmap_losses_see_cells():
    target, scores = points_of(), scores_at(points_of(seed=1), 4)
    method = Laplace(LaplaceKL(), QUARTER, MARKUP, SIDE)
    got, metrics = method.supervised(Output((Stage(heatmaps=scores),), 4), target, known())
    torch.testing.assert_close(got, LaplaceKL()(scores, (target + 0.5) / 4 - 0.5))
    assert metrics == {}


@pytest.mark.parametrize("stride", [1, 4])
def test_point_losses_see_input_pixels_whatever_the_stride(stride):
    target, found = points_of(), points_of(seed=1)
    method = Laplace(SmoothL1(threshold=3.0), Traits(stride=stride), MARKUP, SIDE)
    output = Output((Stage(heatmaps=scores_at(found, stride)),), stride)
    got, _ = method.supervised(output, target, known())
    expected = F.smooth_l1_loss(found, target, beta=3.0, reduction="none").sum(-1).mean()
    # The mean of a drawn heatmap is that of its cells' masses, and smooth L1 is a sum over two axes.
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=0.02)


def test_covariance_losses_take_the_networks_own_factor():
    target, found = points_of(), points_of(seed=1)
    cholesky = torch.rand(2, K, 3) + 0.5
    method = UGLLI(GaussianLogLikelihood(), CHOLESKY, MARKUP, SIDE, Softargmax())
    got, _ = method.supervised(
        Output((Stage(heatmaps=scores_at(found, 4), cholesky=cholesky),), 4), target, known()
    )
    lower = torch.zeros(2, K, 2, 2)
    lower[..., 0, 0], lower[..., 1, 0], lower[..., 1, 1] = cholesky.unbind(-1)
    log_probability = MultivariateNormal(found, scale_tril=lower).log_prob(target)
    # Eq. 2 is −2 log p without its constant, 2 log 2π.
    expected = (-2 * log_probability - 2 * torch.log(torch.tensor(2 * torch.pi))).mean()
    torch.testing.assert_close(got, expected, rtol=1e-2, atol=0.02)


def test_covariance_losses_take_the_heatmaps_moments_where_the_network_has_none():
    target = points_of()
    method = UGLLI(GaussianLogLikelihood(), QUARTER, MARKUP, SIDE, Softargmax())
    sharp, wide = (
        method.supervised(Output((Stage(heatmaps=scores_at(target, 4, scale)),), 4), target + 6.0, known())[0]
        for scale in (0.5, 1.5)
    )
    assert wide < sharp  # 6 px off is far for a heatmap of 2 px, and near for one of 6 px


def test_regressors_take_point_losses_directly():
    target, found = points_of(), points_of(seed=1)
    got, _ = Anisotropic(L1(), POINTS, MARKUP, SIDE).supervised(
        Output((Stage(points=found),)), target, known()
    )
    torch.testing.assert_close(got, (found - target).abs().sum(-1).mean())


def test_stages_are_weighted():
    target = points_of()
    stages = [Stage(points=points_of(seed=s)) for s in (1, 2, 3)]
    each = [(stage.points - target).abs().sum(-1).mean() for stage in stages]

    def total(weights):
        return Laplace(L1(), POINTS, MARKUP, SIDE, stages=weights).supervised(
            Output(tuple(stages)), target, known()
        )

    torch.testing.assert_close(total(None)[0], each[0] + each[1] + each[2])
    torch.testing.assert_close(total((0.5, 0.0, 2.0))[0], 0.5 * each[0] + 2 * each[2])
    torch.testing.assert_close(total(None)[1]["last_stage"], each[2])
    torch.testing.assert_close(total("doubling")[0], each[0] / 4 + each[1] / 2 + each[2])
    with pytest.raises(ConfigError, match="2 weights, but the network has 3 stages"):
        total((1.0, 1.0))


@pytest.mark.parametrize("weights", [(), (-1.0, 1.0), (1.0, 0.0)])
def test_impossible_stage_weights_are_refused(weights):
    with pytest.raises(ConfigError, match=r"method\.stages"):
        Laplace(L1(), POINTS, MARKUP, SIDE, stages=weights)


@pytest.mark.parametrize(
    ("loss", "traits"),
    [
        (LaplaceKL(), QUARTER),
        (HeatmapL2(), QUARTER),
        (WassersteinLoss(epsilon=0.5), QUARTER),
        (ADL.from_markup(load_markup("mtfl5")), QUARTER),
        (SmoothL1(), POINTS),
        (GaussianLogLikelihood(), CHOLESKY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_masked_landmarks_have_no_influence(loss, traits):
    """Their positions may be anything, NaN included; neither the loss nor a gradient notices."""
    mask = known()
    mask[0, 1] = mask[1, 4] = False
    method = Laplace(loss, traits, MARKUP, SIDE)
    results = []
    for fill in (torch.nan, 1e6, 3.0):
        target = torch.where(mask[..., None], points_of(), fill)
        leaves = {"heatmaps": scores_at(points_of(seed=1), traits.stride), "points": points_of(seed=1)}
        leaves["cholesky"] = torch.ones(2, K, 3)
        stage = Stage(**{n: leaves[n].clone().requires_grad_() for n in traits.gives})
        value, _ = method.supervised(Output((stage,), traits.stride), target, mask)
        value.backward()
        for name in traits.gives:
            gradient = getattr(stage, name).grad
            assert gradient.isfinite().all()
            assert not gradient[0, 1].any()
            assert gradient[0, 0].any()
        results.append(value.detach())
    assert results[0].isfinite()
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("stride", [1, 4])
def test_reading_is_in_input_pixels(stride):
    truth = points_of()
    method = Laplace(LaplaceKL(), Traits(stride=stride), MARKUP, SIDE)
    drawn = laplace_heatmaps((truth + 0.5) / stride - 0.5, (SIDE // stride,) * 2, 1.0)
    prediction = method.decode(Output((Stage(heatmaps=drawn.clamp(min=1e-30).log()),), stride))
    torch.testing.assert_close(prediction.points_BK2, truth, atol=0.1 * stride, rtol=0)
    assert prediction.stride == stride
    # b = 1 cell is `stride` px; a Laplace's variance is 2 b².
    variance = prediction.covariance_BK22.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(variance, torch.full_like(variance, 2.0 * stride**2), rtol=0.25, atol=0)
    assert 1.3 * stride < prediction.scatter.mean() < 1.9 * stride


def test_decoders_read_what_they_name():
    truth = points_of()
    scores = scores_at(truth, 4, 1.5)
    # A second, lower peak in a corner: the mean is drawn to it, the peak is not.
    scores[..., 0, 0] = scores.amax((-2, -1)) - 1.0
    output = Output((Stage(heatmaps=scores),), 4)
    read = {
        decoder.name: Laplace(LaplaceKL(), QUARTER, MARKUP, SIDE, decoder).decode(output).points_BK2
        for decoder in (Softargmax(), Dark(), Argmax())
    }
    assert (read["softargmax"] - truth).norm(dim=-1).min() > 0.3
    torch.testing.assert_close(read["dark"], truth, atol=0.4, rtol=0)
    torch.testing.assert_close(read["argmax"], truth, atol=2.01, rtol=0)  # half a cell


def test_default_decoders_are_the_papers():
    def name(method):
        return None if method.decoder is None else method.decoder.name

    assert name(Laplace(LaplaceKL(), QUARTER, MARKUP, SIDE)) is None
    assert name(UGLLI(GaussianLogLikelihood(), CHOLESKY, MARKUP, SIDE)) == "relu_mean"
    assert name(UGLLI(LaplaceKL(), QUARTER, MARKUP, SIDE)) is None  # a distribution by softmax is read as one
    assert name(Wasserstein(WassersteinLoss(), QUARTER, MARKUP, SIDE)) == "barycentre"
    assert name(Wasserstein(HeatmapL2(), QUARTER, MARKUP, SIDE)) == "quarter_shift"
    assert name(Wasserstein(L1(), POINTS, MARKUP, SIDE)) is None


def test_the_networks_factor_is_its_uncertainty():
    cholesky = torch.tensor([2.0, 1.0, 3.0]).expand(1, K, 3)
    method = UGLLI(GaussianLogLikelihood(), CHOLESKY, MARKUP, SIDE)
    got = method.decode(Output((Stage(heatmaps=scores_at(points_of(1), 4), cholesky=cholesky),), 4))
    torch.testing.assert_close(got.covariance_BK22[0, 0], torch.tensor([[4.0, 2.0], [2.0, 10.0]]))


def test_a_regressor_states_no_uncertainty_and_has_no_heatmaps():
    prediction = Anisotropic(L1(), POINTS, MARKUP, SIDE).decode(Output((Stage(points=points_of()),)))
    assert torch.equal(prediction.points_BK2, points_of())
    assert prediction.covariance_BK22 is None
    assert prediction.heatmaps_BKHW is None
    assert prediction.scatter is None


@pytest.mark.parametrize(
    ("loss", "traits", "field"),
    [(LaplaceKL(), HEATMAPS, "heatmaps"), (LaplaceKL(), QUARTER, "heatmaps"), (AWing(), QUARTER, "heatmaps"),
     (L1(), QUARTER, "heatmaps"), (L1(), POINTS, "points")],
)  # fmt: skip
def test_a_discriminator_sees_true_and_predicted_heatmaps_alike(loss, traits, field):
    """The same grid, the same place, and a gradient to the prediction."""
    truth = points_of()
    method = Laplace(loss, traits, MARKUP, SIDE)
    leaf = (scores_at(truth, traits.stride) if field == "heatmaps" else truth).clone().requires_grad_()
    drawn = method.draw_true(truth, known())
    predicted = method.heatmaps(Output((Stage(**{field: leaf}),), traits.stride))
    assert drawn.shape == predicted.shape == (2, K, *method.grid)
    peaks = [h.detach().flatten(2).argmax(-1) for h in (drawn, predicted)]
    if not isinstance(loss, AWing):  # which sees these scores as values of pixels
        assert (peaks[0] == peaks[1]).float().mean() > 0.6
    (predicted * torch.rand_like(predicted)).sum().backward()
    assert leaf.grad.any()


def test_unknown_landmarks_are_drawn_empty():
    mask = known()
    mask[1, 2] = False
    target = points_of()
    target[1, 2] = torch.nan
    drawn = Laplace(LaplaceKL(), QUARTER, MARKUP, SIDE).draw_true(target, mask)
    assert drawn.isfinite().all()
    assert not drawn[1, 2].any()
    torch.testing.assert_close(drawn[0].sum((-2, -1)), torch.ones(K))


def test_points_with_a_gradient_whatever_reads_them():
    truth = points_of()
    for loss, traits in ((LaplaceKL(), QUARTER), (HeatmapL2(), QUARTER)):
        method = Laplace(loss, traits, MARKUP, SIDE, Argmax())
        scores = scores_at(truth, 4)
        leaf = (scores if isinstance(loss, LaplaceKL) else scores.exp()).clone().requires_grad_()
        points = method.points(Output((Stage(heatmaps=leaf),), 4))
        torch.testing.assert_close(points.detach(), truth, atol=0.1, rtol=0)
        points.square().sum().backward()
        assert leaf.grad.any()


def test_origins():
    assert Anisotropic(L1(), POINTS, MARKUP, SIDE).origin == "mean_of_bin_means"
    assert Anisotropic(L1(), POINTS, MARKUP, SIDE, origin="mean").origin == "mean"
    assert Anisotropic(L1(), QUARTER, MARKUP, SIDE).origin == "centre"  # heatmaps start from nowhere
    assert Laplace(L1(), POINTS, MARKUP, SIDE).origin == "centre"
