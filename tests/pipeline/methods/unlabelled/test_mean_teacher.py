"""Pseudo-labels follow the student's image, weigh by the teacher's certainty, and leave no gradient in the teacher."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.augment.geometry import warp
from pipeline.errors import ConfigError
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.gaussian_log_likelihood import GaussianLogLikelihood
from pipeline.losses.l1 import L1
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.markup import load_markup
from pipeline.methods.laplace import Laplace
from pipeline.methods.unlabelled.base import Draws, UnlabelledBatch
from pipeline.methods.unlabelled.mean_teacher import MeanTeacher
from pipeline.models.output import Output, Stage, Traits

MARKUP, K, SIDE, BATCH = load_markup("mtfl5"), 5, 64, 3
POINTS = Traits(gives=frozenset({"points"}))
CHOLESKY = Traits(gives=frozenset({"heatmaps", "cholesky"}))
REGRESSION = Laplace(L1(), POINTS, MARKUP, SIDE)
MIRRORED = [1, 0, 2, 4, 3]
UNMOVED = {"name": "custom", "grey": 1.0}  # changes the image, and where nothing is


def objective(**parameters) -> MeanTeacher:
    return MeanTeacher(K, SIDE, MARKUP, **parameters)


def regress(values: torch.Tensor) -> Output:
    return Output((Stage(points=values),))


def mirror(points: torch.Tensor) -> torch.Tensor:
    """Landmarks of the mirror image: at mirrored places, left and right renamed."""
    swapped = points[:, MIRRORED]
    return torch.stack([SIDE - 1 - swapped[..., 0], swapped[..., 1]], -1)


def sees(plain: torch.Tensor, mirrored: torch.Tensor):
    """A teacher with these points for plain and mirrored images."""
    return lambda images: regress(torch.cat([plain, mirrored]))


def with_context(view, chosen: MeanTeacher):
    own, context = chosen.images(view.unlabelled)
    return replace(view, context=context), own


def test_labels_are_the_mean_of_both_views_and_move_with_the_students_image(make_view, points):
    chosen = objective(augmentation={"name": "custom", "rotation": 30, "translation": 0.1, "flip": 0.5})
    batch = UnlabelledBatch.unchanged(torch.rand(BATCH, 3, SIDE, SIDE))
    batch = replace(batch, draws=Draws(seed=1, step=2))
    # The mirrored view is 2 px off in x and y: seen from the plain image, −2 and +2 px.
    view = make_view(REGRESSION, regress(points), batch, teacher=sees(points, mirror(points) + 2.0))
    view, _ = with_context(view, chosen)
    affine, flip = view.context
    assert 0 < flip.sum() < BATCH
    labels, weights = chosen.labels(view)
    label = points + torch.tensor([-1.0, 1.0])
    expected = (affine[:, None, :, :2] @ label[..., None])[..., 0] + affine[:, None, :, 2]
    expected = torch.where(flip[:, None, None], expected[:, MIRRORED], expected)
    torch.testing.assert_close(labels, expected, rtol=1e-5, atol=1e-4)
    assert torch.equal(weights, torch.ones(BATCH, K))  # a regressor states no uncertainty


def test_the_teacher_sees_plain_images_and_their_mirror_images(make_view, points):
    plain = torch.rand(BATCH, 3, SIDE, SIDE)
    batch = replace(UnlabelledBatch.unchanged(plain), images_B3HW=torch.rand(BATCH, 3, SIDE, SIDE))
    seen = []

    def teacher(images):
        seen.append(images)
        return regress(torch.cat([points, mirror(points)]))

    chosen = objective()
    view, _ = with_context(make_view(REGRESSION, regress(points), batch, teacher=teacher), chosen)
    chosen.labels(view)
    assert torch.equal(seen[0], torch.cat([plain, plain.flip(-1)]))


def test_the_student_sees_one_change_of_the_plain_image(points):
    plain = torch.rand(BATCH, 3, SIDE, SIDE)
    batch = replace(UnlabelledBatch.unchanged(plain), images_B3HW=torch.zeros(BATCH, 3, SIDE, SIDE))
    chosen = objective(augmentation={"name": "custom", "rotation": 30, "flip": 0.5})
    images, (affine, _) = chosen.images(batch)
    torch.testing.assert_close(images, warp(plain, affine), atol=1e-4, rtol=0)
    strong, _ = objective().images(batch)
    assert strong.shape == plain.shape
    assert 0.0 <= strong.min() <= strong.max() <= 1.0
    assert (strong - plain).abs().mean() > 0.05


def test_changes_are_the_steps_and_the_same_on_any_number_of_ranks():
    plain = torch.rand(4, 3, SIDE, SIDE)

    def changed(images, **draws):
        return objective().images(replace(UnlabelledBatch.unchanged(images), draws=Draws(**draws)))[0]

    alone = changed(plain, step=5)
    assert torch.equal(alone, changed(plain, step=5))
    assert not torch.equal(alone, changed(plain, step=6))
    for rank in (0, 1):
        part = changed(plain[rank::2], step=5, rank=rank, world_size=2)
        torch.testing.assert_close(part, alone[rank::2])


def test_the_batchs_own_augmentation_may_be_the_students(make_view, points):
    affine = torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]).repeat(BATCH, 1, 1)
    batch = replace(UnlabelledBatch.unchanged(torch.rand(BATCH, 3, SIDE, SIDE)), affine_B23=affine)
    chosen = objective(augmentation="batch", augmented=True)
    assert (chosen.reads_batch, chosen.own_views) == (True, 0)
    view = make_view(REGRESSION, regress(points + 3.0), batch, teacher=sees(points, mirror(points)))
    view, own = with_context(view, chosen)
    assert own is None
    torch.testing.assert_close(chosen.labels(view)[0], points + torch.tensor([3.0, 0.0]))
    torch.testing.assert_close(chosen.generator_loss(None, view)[0], torch.tensor(3.0))  # y alone is off
    with pytest.raises(ConfigError, match="the run has no augmentation"):
        objective(augmentation="batch")


def test_without_a_move_the_loss_is_the_methods_own(make_view, points):
    chosen = objective(augmentation=UNMOVED)
    student = (points + 2.0).requires_grad_()
    view = make_view(REGRESSION, regress(points), teacher=sees(points, mirror(points)))
    view, _ = with_context(replace(view, own_output=regress(student)), chosen)
    loss, metrics = chosen.generator_loss(None, view)
    torch.testing.assert_close(loss, torch.tensor(4.0))  # |Δx| + |Δy|
    assert metrics["used"] == metrics["confidence"] == 1.0
    loss.backward()
    assert student.grad.any()


def test_weights_fall_with_the_teachers_uncertainty_and_follow_the_mirror(make_view, points):
    chosen = objective(temperature=0.1, least=0.2, augmentation={"name": "custom", "flip": 1.0})
    method = Laplace(GaussianLogLikelihood(), CHOLESKY, MARKUP, SIDE)
    scales = torch.tensor([0.1, 1.0, 3.2, 6.4, 30.0])  # standard deviations, px; τ is 6.4 px

    def outputs(places, deviations):
        cholesky = torch.stack([deviations, torch.zeros(K), deviations], -1).expand(BATCH, K, 3)
        return gaussian_heatmaps(places, (SIDE, SIDE), 1.0).clamp(min=1e-30).log(), cholesky

    parts = zip(outputs(points, scales), outputs(mirror(points), scales[MIRRORED]), strict=True)
    scores, cholesky = (torch.cat(pair) for pair in parts)
    teacher = Output((Stage(heatmaps=scores, cholesky=cholesky),))
    view, _ = with_context(make_view(method, teacher, teacher=lambda _: teacher), chosen)
    _, weights = chosen.labels(view)
    expected = torch.tensor([math.exp(-s / 6.4) for s in scales.tolist()])
    expected[4] = 0.0  # below ``least``
    torch.testing.assert_close(weights, expected[MIRRORED].expand(BATCH, K), rtol=1e-4, atol=1e-5)


def test_an_unsure_teacher_says_less_not_the_same_in_other_words(make_view, points):
    method = Laplace(LaplaceKL(), Traits(), MARKUP, SIDE)
    student = Output((Stage(heatmaps=torch.zeros(BATCH, K, SIDE, SIDE)),))

    def loss(scale: float) -> float:
        places = torch.cat([points, mirror(points)])
        scores = gaussian_heatmaps(places, (SIDE, SIDE), scale).clamp(min=1e-30).log()
        teacher = Output((Stage(heatmaps=scores),))
        chosen = objective(augmentation=UNMOVED)
        view, _ = with_context(
            make_view(method, student, teacher=lambda _: teacher, own_output=student), chosen
        )
        return float(chosen.generator_loss(None, view)[0])

    assert loss(0.5) > 1.5 * loss(3.0) > 0.0


def test_unreadable_images_and_labels_outside_are_left_out(make_view, points):
    chosen = objective(augmentation=UNMOVED)
    labels = points.clone()
    labels[0, 2] = -5.0  # the nose, which stays itself in a mirror
    valid = torch.tensor([True, True, False])

    def view(valid_B):
        batch = replace(UnlabelledBatch.unchanged(torch.rand(BATCH, 3, SIDE, SIDE)), valid_B=valid_B)
        seen = make_view(
            REGRESSION, regress(labels), batch, own_output=regress(labels),
            teacher=sees(labels, mirror(labels)),
        )  # fmt: skip
        return with_context(seen, chosen)[0]

    _, weights = chosen.labels(view(valid))
    assert weights[0].tolist() == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert not weights[2].any()
    assert chosen.generator_loss(None, view(torch.zeros(BATCH, dtype=torch.bool)))[0] == 0.0


def test_needs_a_teacher(make_view, points):
    assert MeanTeacher.needs_teacher
    chosen = objective()
    view, _ = with_context(make_view(REGRESSION, regress(points)), chosen)
    with pytest.raises(TypeError, match="averaged generator"):
        chosen.labels(view)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"temperature": -0.5}, "temperature"),
        ({"least": 1.5}, "least"),
        ({"augmentation": {"name": "custom", "rotation": 500}}, "rotation"),
        ({"augmentation": {"name": "costum"}}, "did you mean 'custom'"),
    ],
)
def test_values_that_cannot_work(parameters, reason):
    with pytest.raises(ConfigError, match=reason):
        objective(**parameters)
