"""What D is shown, by kind; its regularisers; and what it has learned to tell, on discriminators made by hand."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pipeline.errors import ConfigError
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.markup import load_markup
from pipeline.methods.laplace import Laplace
from pipeline.methods.unlabelled.adversarial import Adversarial
from pipeline.methods.unlabelled.base import Draws, StepView, UnlabelledBatch
from pipeline.models.output import Output, Stage, Traits

MARKUP, K, SIDE, BATCH = load_markup("mtfl5"), 5, 64, 3
METHOD = Laplace(LaplaceKL(), Traits(), MARKUP, SIDE)
PAPER = {"heatmaps": "density", "fake_from": "unlabelled"}


def objective(**parameters) -> Adversarial:
    small = {"name": "patchgan", "width": 4, "noise": 0.0}
    return Adversarial(K, SIDE, MARKUP, **({"discriminator": small} | parameters))


def scores() -> torch.Tensor:
    return torch.randn(BATCH, K, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def view(make_view) -> StepView:
    labelled, unlabelled = (
        Output((Stage(heatmaps=factor * scores().requires_grad_()),)) for factor in (2.0, 3.0)
    )
    return make_view(METHOD, unlabelled, labelled_output=labelled)


class Recorder(nn.Module):
    """Scores pairs by their mean, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, pairs):
        self.seen.append(pairs)
        return pairs.mean((1, 2, 3), keepdim=True)


def test_the_papers_pairs(view):
    recorder, chosen = Recorder(), objective(**PAPER, gain=2.0)
    loss, _ = chosen.discriminator_loss(recorder, view)
    real, fake = recorder.seen
    torch.testing.assert_close(real[:, :3], view.labelled_B3HW * 2 - 1)
    torch.testing.assert_close(real[:, 3:], 2.0 * METHOD.draw_true(view.target_BK2))
    torch.testing.assert_close(fake[:, :3], view.unlabelled.images_B3HW * 2 - 1)
    torch.testing.assert_close(fake[:, 3:], 2.0 * view.heatmaps)
    assert not fake.requires_grad
    judged = [
        F.binary_cross_entropy_with_logits(pairs.mean((1, 2, 3)), torch.full((BATCH,), truth))
        for pairs, truth in ((real, 1.0), (fake, 0.0))
    ]
    torch.testing.assert_close(loss, sum(judged))
    chosen.generator_loss(recorder, view)
    torch.testing.assert_close(recorder.seen[2], fake)
    assert recorder.seen[2].requires_grad


def test_fakes_on_labelled_images_too_at_unit_peak(view):
    recorder, chosen = Recorder(), objective()
    chosen.discriminator_loss(recorder, view)
    real, fake = recorder.seen
    assert len(fake) == 2 * BATCH
    torch.testing.assert_close(fake[:BATCH, :3], real[:, :3])
    torch.testing.assert_close(fake[BATCH:, :3], view.unlabelled.images_B3HW * 2 - 1)
    for pairs in (real, fake):
        torch.testing.assert_close(pairs[:, 3:].amax((-2, -1)), torch.ones(len(pairs), K))
    loss, _ = chosen.generator_loss(recorder, view)
    sources = [view.labelled_output.last.heatmaps, view.output.last.heatmaps]
    assert all(gradient.any() for gradient in torch.autograd.grad(loss, sources))


def test_unknown_landmarks_are_empty_for_both_kinds_and_unreadable_images_do_not_count(view):
    mask = torch.ones(BATCH, K, dtype=torch.bool)
    mask[1, 2] = False
    mask[2] = False
    valid = torch.tensor([True, False, True])
    view = replace(view, mask_BK=mask, unlabelled=replace(view.unlabelled, valid_B=valid))
    recorder, chosen = Recorder(), objective()
    loss, _ = chosen.discriminator_loss(recorder, view)
    real, fake = recorder.seen
    assert torch.equal(real[:, 3:].amax((-2, -1)) > 0, mask)
    assert torch.equal(fake[:, 3:].amax((-2, -1)) > 0, torch.cat([mask, mask]))
    good, bad = real[:2].mean((1, 2, 3)), fake[[0, 1, 3, 5]].mean((1, 2, 3))
    torch.testing.assert_close(loss, F.softplus(-good).mean() + F.softplus(bad).mean())


def test_r1_is_added_every_so_many_steps_as_much_stronger(view):
    torch.manual_seed(0)
    plain, regularised = objective(), objective(r1=0.5, r1_every=4)
    network = plain.discriminator.eval()  # batch norm apart from the batch: a pair's gradient is its own
    base, _ = plain.discriminator_loss(network, view)

    def at(step):
        batch = replace(view.unlabelled, draws=Draws(step=step))
        return regularised.discriminator_loss(network, replace(view, unlabelled=batch))

    for step in (1, 2, 3, 5):
        torch.testing.assert_close(at(step)[0], base)
    loss, metrics = at(8)
    pairs = regularised._real(view).detach().requires_grad_()
    logits = network(pairs).flatten(1).mean(1)
    (gradient,) = torch.autograd.grad(logits.sum(), pairs)
    penalty = gradient.square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(metrics["r1"], penalty)
    torch.testing.assert_close(loss, base + 0.5 / 2 * 4 * penalty)
    loss.backward()
    assert network.blocks[1].weight.grad.any()


def test_both_kinds_are_augmented_and_both_sides_see_it(view):
    recorder = Recorder()
    chosen = objective(**PAPER, pair_augmentation={"flip": 1.0})
    chosen.discriminator_loss(recorder, view)
    chosen.generator_loss(recorder, view)
    real, fake, generated = recorder.seen
    torch.testing.assert_close(real[:, :3], (view.labelled_B3HW * 2 - 1).flip(-1))
    torch.testing.assert_close(fake[:, 3:], view.heatmaps[:, [1, 0, 2, 4, 3]].flip(-1))
    torch.testing.assert_close(generated, fake)


class Judge(nn.Module):
    """A discriminator that looks at one thing alone."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def forward(self, pairs):
        # A true heatmap has less mass at unit peak; labelled images are the brighter ones.
        value = -pairs[:, 3:].mean((1, 2, 3)) if self.what == "heatmaps" else pairs[:, :3].mean((1, 2, 3))
        return value[:, None, None, None]


@pytest.mark.parametrize(("what", "heatmap", "origin"), [("heatmaps", 1.0, None), ("images", 0.5, 1.0)])
def test_validation_tells_heatmaps_from_origin(view, what, heatmap, origin):
    dark = UnlabelledBatch.unchanged(view.unlabelled.images_B3HW * 0.2)
    found = objective().validate(Judge(what), replace(view, unlabelled=dark))
    assert found["auc_heatmap"] == heatmap
    assert origin is None or found["auc_origin"] == origin


def test_validation_leaves_the_discriminator_as_it_is(view):
    chosen = objective()
    network = chosen.discriminator.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = chosen.validate(network, view)
    assert all(0.0 <= value <= 1.0 for value in found.values())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_complains_of_a_discriminator_that_wins_or_tells_nothing():
    chosen = objective()
    assert "wins" in chosen.complaint({"discriminator": 0.03})
    assert "tells nothing apart" in chosen.complaint({"discriminator": 1.386})
    assert chosen.complaint({"discriminator": 0.9}) is None
    assert chosen.complaint({}) is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"r1": -1.0}, "r1 = -1"),
        ({"r1_every": 0}, "r1_every = 0"),
        ({"pair_augmentation": {"shift": 0.1}}, "it has translation, cutout and flip"),
    ],
)
def test_values_that_cannot_work(bad, reason):
    with pytest.raises(ConfigError, match=reason):
        objective(**bad)
