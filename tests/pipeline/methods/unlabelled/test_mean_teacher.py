"""Pseudo-labels follow the student's image, weigh by the teacher's certainty, and leave no gradient in the teacher."""

import math
from dataclasses import replace

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.heatmaps.draw import gaussian_heatmaps
from pipeline.losses.gaussian_log_likelihood import GaussianLogLikelihood
from pipeline.losses.l1 import L1
from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.markup import load_markup
from pipeline.methods.base import Method
from pipeline.methods.laplace import Laplace
from pipeline.methods.unlabelled.base import StepView
from pipeline.methods.unlabelled.mean_teacher import MeanTeacher
from pipeline.models.output import Output, Stage, Traits

MARKUP, K, SIDE, BATCH = load_markup("mtfl5"), 5, 64, 3
POINTS = Traits(gives=frozenset({"points"}))
CHOLESKY = Traits(gives=frozenset({"heatmaps", "cholesky"}))
STILL = {"rotation": 0.0, "scale": 0.0, "shift": 0.0, "noise": 0.0, "hidden": 0.0}


def points() -> torch.Tensor:
    return torch.rand(BATCH, K, 2, generator=torch.Generator().manual_seed(3)) * 20 + 22


def view_of(objective: MeanTeacher, method: Method, teacher: Output, student: Output, **changes) -> StepView:
    images = torch.rand(BATCH, 3, SIDE, SIDE)
    _, context = objective.images(images)
    known = torch.ones(BATCH, K, dtype=torch.bool)
    fields = {
        "labelled_B3HW": images, "target_BK2": points(), "mask_BK": known, "unlabelled_B3HW": images, "output": student,
        "valid_B": known[:, 0], "method": method, "context": context, "teacher": lambda _: teacher,
    }  # fmt: skip
    return StepView(**(fields | changes))


def regress(values: torch.Tensor) -> Output:
    return Output((Stage(points=values),))


def test_labels_move_with_the_students_image():
    objective = MeanTeacher(K, SIDE)
    method = Laplace(L1(), POINTS, MARKUP, SIDE)
    view = view_of(objective, method, regress(points()), regress(points()))
    labels, weights = objective.weights(view)
    linear, shift = view.context[:, :, :2], view.context[:, :, 2]
    expected = (linear[:, None] @ points()[..., None])[..., 0] + shift[:, None]
    torch.testing.assert_close(labels, expected)
    assert torch.equal(weights, torch.ones(BATCH, K))  # a regressor states no uncertainty


def test_without_a_change_the_loss_is_the_methods_own():
    objective = MeanTeacher(K, SIDE, **STILL)
    method = Laplace(L1(), POINTS, MARKUP, SIDE)
    student = (points() + 2.0).requires_grad_()
    loss, metrics = objective.generator_loss(
        None, view_of(objective, method, regress(points()), regress(student))
    )
    torch.testing.assert_close(loss, torch.tensor(4.0))  # |Δx| + |Δy|
    assert metrics["used"] == metrics["confidence"] == 1.0
    loss.backward()
    assert student.grad.any()


def test_weights_fall_with_the_teachers_uncertainty():
    objective = MeanTeacher(K, SIDE, temperature=0.1, least=0.2, **STILL)
    method = Laplace(GaussianLogLikelihood(), CHOLESKY, MARKUP, SIDE)
    scales = torch.tensor([0.1, 1.0, 3.2, 6.4, 30.0])  # standard deviations, px; τ is 6.4 px
    cholesky = torch.stack([scales, torch.zeros(K), scales], -1).expand(BATCH, K, 3)
    scores = gaussian_heatmaps(points(), (SIDE, SIDE), 1.0).clamp(min=1e-30).log()
    teacher = Output((Stage(heatmaps=scores, cholesky=cholesky),))
    _, weights = objective.weights(view_of(objective, method, teacher, teacher))
    expected = torch.tensor([math.exp(-s / 6.4) for s in scales.tolist()])
    expected[4] = 0.0  # below ``least``
    torch.testing.assert_close(weights, expected.expand(BATCH, K), rtol=1e-4, atol=1e-5)


def test_an_unsure_teacher_says_less_not_the_same_in_other_words():
    method = Laplace(LaplaceKL(), Traits(), MARKUP, SIDE)
    student = Output((Stage(heatmaps=torch.zeros(BATCH, K, SIDE, SIDE)),))

    def loss(scale: float) -> float:
        teacher = Output(
            (Stage(heatmaps=gaussian_heatmaps(points(), (SIDE, SIDE), scale).clamp(min=1e-30).log()),)
        )
        objective = MeanTeacher(K, SIDE, **STILL)
        return float(objective.generator_loss(None, view_of(objective, method, teacher, student))[0])

    assert loss(0.5) > 1.5 * loss(3.0) > 0.0


def test_unreadable_images_and_labels_outside_are_left_out():
    objective = MeanTeacher(K, SIDE, **STILL)
    method = Laplace(L1(), POINTS, MARKUP, SIDE)
    labels = points()
    labels[0, 0] = -5.0
    valid = torch.tensor([True, True, False])
    _, weights = objective.weights(
        view_of(objective, method, regress(labels), regress(labels), valid_B=valid)
    )
    assert weights[0].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]
    assert not weights[2].any()
    nobody = torch.zeros(BATCH, dtype=torch.bool)
    loss, _ = objective.generator_loss(
        None, view_of(objective, method, regress(labels), regress(labels), valid_B=nobody)
    )
    assert loss == 0.0


def test_the_students_image_is_changed_and_stays_a_image():
    images = torch.rand(BATCH, 3, SIDE, SIDE)
    torch.manual_seed(5)
    changed, _ = MeanTeacher(K, SIDE).images(images)
    assert changed.shape == images.shape
    assert changed.min() >= 0.0
    assert changed.max() <= 1.0
    assert (changed - images).abs().mean() > 0.05
    torch.manual_seed(5)
    assert torch.equal(MeanTeacher(K, SIDE).images(images)[0], changed)
    same, _ = MeanTeacher(K, SIDE, **STILL).images(images)
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    hidden, _ = MeanTeacher(K, SIDE, **(STILL | {"hidden": 0.25})).images(images)
    share = (hidden - images).abs().amax(1).gt(1e-4).float().mean((-2, -1))
    torch.testing.assert_close(share, torch.full((BATCH,), 1 / 16), atol=0.01, rtol=0)


def test_needs_a_teacher():
    assert MeanTeacher.needs_teacher
    objective = MeanTeacher(K, SIDE)
    method = Laplace(L1(), POINTS, MARKUP, SIDE)
    view = replace(view_of(objective, method, regress(points()), regress(points())), teacher=None)
    with pytest.raises(TypeError, match="averaged generator"):
        objective.weights(view)


@pytest.mark.parametrize("name", ["temperature", "least", "rotation", "scale", "shift", "noise", "hidden"])
def test_values_that_cannot_work(name):
    with pytest.raises(ConfigError, match=name):
        MeanTeacher(K, SIDE, **{name: -0.5})
