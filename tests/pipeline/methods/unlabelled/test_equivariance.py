"""Equivariance: nothing to pay for a generator that follows, and the right way to pay for one that does not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.l1 import L1
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.markup import load_markup
from pipeline.methods.laplace import Laplace
from pipeline.methods.unlabelled.base import StepView, UnlabelledBatch
from pipeline.methods.unlabelled.equivariance import Equivariance
from pipeline.models.output import Output, Stage, Traits

MARKUP, K, SIDE, BATCH = load_markup("mtfl5"), 5, 64, 3
POINTS = Traits(gives=frozenset({"points"}))


def blobs(points_BK2: torch.Tensor) -> torch.Tensor:
    """Images of five blobs, each a landmark, in three colours so that every landmark is its own."""
    maps = gaussian_heatmaps(points_BK2, (SIDE, SIDE), 2.0)
    return torch.stack([maps[:, :2].sum(1), maps[:, 2:4].sum(1), maps[:, 4]], 1) * 20


class Centroid(nn.Module):
    """The centre of mass of the third channel, as all K landmarks: it follows any transform exactly."""

    def __init__(self, stuck: bool = False) -> None:
        super().__init__()
        self.stuck = stuck
        self.offset = nn.Parameter(torch.zeros(2))

    def forward(self, images: torch.Tensor) -> Output:
        grid = torch.arange(SIDE, dtype=images.dtype)
        mass = images[:, 2]
        total = mass.sum((-2, -1))
        centre = torch.stack(
            [(mass * grid).sum((-2, -1)) / total, (mass * grid[:, None]).sum((-2, -1)) / total], -1
        )
        if self.stuck:
            centre = torch.full_like(centre, 40.0)
        return Output((Stage(points=(centre + self.offset)[:, None].expand(-1, K, -1)),))


def points() -> torch.Tensor:
    return torch.rand(BATCH, K, 2, generator=torch.Generator().manual_seed(3)) * 20 + 22


def view_of(objective: Equivariance, generator: nn.Module, valid: torch.Tensor | None = None) -> StepView:
    batch = UnlabelledBatch.unchanged(blobs(points()))
    if valid is not None:
        batch = replace(batch, valid_B=valid)
    own, context = objective.images(batch)
    output = generator(batch.images_B3HW)
    known = torch.ones(BATCH, K, dtype=torch.bool)
    return StepView(
        labelled_B3HW=batch.images_B3HW, target_BK2=points(), mask_BK=known, labelled_output=output, unlabelled=batch,
        batch_output=output, own_output=generator(own), method=Laplace(L1(), POINTS, MARKUP, SIDE), context=context,
    )  # fmt: skip


def test_a_generator_that_follows_pays_next_to_nothing():
    objective = Equivariance(K, SIDE)
    loss, metrics = objective.generator_loss(None, view_of(objective, Centroid()))
    assert metrics["apart_px"] < 0.1
    assert loss < 1e-3


def test_a_generator_that_stays_where_it_is_pays_for_the_distance():
    objective = Equivariance(K, SIDE, rotation=25.0)
    view = view_of(objective, Centroid(stuck=True))
    loss, metrics = objective.generator_loss(None, view)
    # Written out: the transform of (40, 40), and smooth L1 of its distance to (40, 40) in shares of the side.
    linear, shift = view.context[:, :, :2], view.context[:, :, 2]
    expected = linear @ torch.tensor([40.0, 40.0]) + shift
    error = (expected - 40.0) / SIDE
    smooth = torch.where(error.abs() < 0.01, error.square() / 0.02, error.abs() - 0.005).sum(-1)
    torch.testing.assert_close(loss, smooth.mean(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(metrics["apart_px"], (expected - 40).norm(dim=-1).mean(), rtol=1e-4, atol=1e-4)


def test_images_that_could_not_be_read_and_points_outside_do_not_count():
    objective = Equivariance(K, SIDE)
    assert (
        objective.generator_loss(
            None, view_of(objective, Centroid(True), torch.zeros(BATCH, dtype=torch.bool))
        )[0]
        == 0.0
    )
    outside = Centroid(True)
    with torch.no_grad():
        outside.offset.fill_(200.0)
    assert objective.generator_loss(None, view_of(objective, outside))[0] == 0.0


def test_both_sides_have_a_gradient():
    objective = Equivariance(K, SIDE)
    generator = Centroid(stuck=True)
    loss, _ = objective.generator_loss(None, view_of(objective, generator))
    loss.backward()
    assert generator.offset.grad.abs().sum() > 0
    # An offset added on both sides is moved by T on one of them alone: the gradient is that of (A − I) offset.
    assert generator.offset.grad.isfinite().all()


def test_heatmap_methods_are_read_by_their_mean():
    objective = Equivariance(K, SIDE)
    view = view_of(objective, Centroid())
    plain, turned = (torch.zeros(BATCH, K, SIDE, SIDE, requires_grad=True) for _ in range(2))
    heatmaps = {
        "batch_output": Output((Stage(heatmaps=plain),)),
        "own_output": Output((Stage(heatmaps=turned),)),
        "method": Laplace(LaplaceKL(), Traits(), MARKUP, SIDE),
    }
    loss, _ = objective.generator_loss(None, replace(view, **heatmaps))
    loss.backward()
    assert plain.grad.any()
    assert turned.grad.any()


def test_transforms_change_with_the_seed_of_the_step():
    objective = Equivariance(K, SIDE)
    images = torch.rand(BATCH, 3, SIDE, SIDE)

    def drawn(seed):
        torch.manual_seed(seed)
        return objective.images(UnlabelledBatch.unchanged(images))[0]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert drawn(1).shape == images.shape


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [({"rotation": -1.0}, "rotation"), ({"rotation": 0.0, "scale": 0.0, "shift": 0.0}, "nothing is transformed"),
     ({"threshold": 0.0}, "threshold")],
)  # fmt: skip
def test_values_that_cannot_work(parameters, reason):
    with pytest.raises(ConfigError, match=reason):
        Equivariance(K, SIDE, **parameters)
