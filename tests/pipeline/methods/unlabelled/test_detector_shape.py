"""Landmarks from the detector's five points: regressed in the face's frame, with the penalty that left-out faces ask for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.augment.geometry import affines, move
from pipeline.errors import ConfigError
from pipeline.losses.l1 import L1
from pipeline.markup import load_markup
from pipeline.methods.laplace import Laplace
from pipeline.methods.unlabelled.base import Draws, UnlabelledBatch
from pipeline.methods.unlabelled.detector_shape import DetectorShape, fit
from pipeline.models.output import Output, Stage, Traits

MARKUP, SIDE, BATCH = load_markup("ibug68"), 80, 6
REGRESSION = Laplace(L1(), Traits(gives=frozenset({"points"})), MARKUP, SIDE)
FACE = torch.tensor(
    [[28.0, 30.0], [52.0, 30.0], [40.0, 44.0], [31.0, 56.0], [49.0, 56.0]], dtype=torch.float64
)


def drawn(count: int, seed: int = 0, noise: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Five points and 68 landmarks that are the same linear function of them on every face, then turned, grown and shifted."""
    draw = torch.Generator().manual_seed(seed)
    five = FACE + torch.randn(count, 5, 2, generator=draw, dtype=torch.float64)
    # Rows sum to 1, so the function commutes with any similarity; mirrored rows are each other's mirror images.
    weights = torch.rand(68, 5, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    weights = weights + weights[torch.from_numpy(MARKUP.flip_permutation)][:, [1, 0, 2, 4, 3]]
    weights = weights / weights.sum(1, keepdim=True)
    points = weights @ five
    points = points + noise * torch.randn(points.shape, generator=draw, dtype=torch.float64)
    u = torch.rand(count, 4, generator=draw, dtype=torch.float64) - 0.5
    maps = affines(SIDE, u[:, 0] * 60, 1 + u[:, 1] * 0.4, u[:, 2:] * 0.05)
    return move(five, maps), move(points, maps)


def taught(count: int = 30, **drawing) -> DetectorShape:
    objective = DetectorShape(68, SIDE, MARKUP)
    objective.learn(*drawn(count, **drawing))
    return objective


def batch_of(five: torch.Tensor, **changes) -> UnlabelledBatch:
    return replace(UnlabelledBatch.unchanged(torch.rand(len(five), 3, SIDE, SIDE), five.float()), **changes)


@pytest.fixture
def labels_of(make_view):
    """Labels of a batch by an objective, optionally with a teacher."""

    def labels(objective: DetectorShape, batch: UnlabelledBatch, teacher=None):
        nothing = Output((Stage(points=torch.zeros(BATCH, 68, 2)),))
        return objective.labels(make_view(REGRESSION, nothing, batch, teacher=teacher))

    return labels


def test_ridge_regression_is_numpys():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 5, 2)), rng.normal(size=(40, 3, 2))
    flat_x, flat_y = (
        x.reshape(40, 10) - x.reshape(40, 10).mean(0),
        y.reshape(40, 6) - y.reshape(40, 6).mean(0),
    )
    ridge = 0.3 * (flat_x**2).mean() * 40
    # As ordinary least squares with ten more rows.
    rows = np.vstack([flat_x, np.sqrt(ridge) * np.eye(10)])
    slope = np.linalg.lstsq(rows, np.vstack([flat_y, np.zeros((10, 6))]), rcond=None)[0]
    fitted = fit(torch.from_numpy(x), torch.from_numpy(y), 0.3)
    np.testing.assert_allclose(fitted.slope_10M.numpy(), slope, atol=1e-10)
    expected = y.mean(0) + (flat_x @ slope).reshape(40, 3, 2)
    np.testing.assert_allclose(fitted(torch.from_numpy(x)).numpy(), expected, atol=1e-10)


def test_what_the_five_points_determine_is_found_on_faces_never_seen(labels_of):
    objective = taught()
    assert objective.penalty == 0.01  # no noise: the smallest
    five, points = drawn(BATCH, seed=1)
    labels, counts = labels_of(objective, batch_of(five))
    assert counts.all()
    # 0.1 of the faces' variation of 1 px at most: the smallest penalty is not none.
    assert (labels - points).norm(dim=-1).mean() < 0.1


def test_noise_asks_for_a_larger_penalty():
    quiet, noisy = taught(8), taught(8, noise=3.0)
    assert noisy.penalty > quiet.penalty
    assert noisy.left_out_error > quiet.left_out_error


def test_a_mirrored_face_has_the_mirrored_landmarks(labels_of):
    objective = taught(noise=0.5)
    five, _ = drawn(BATCH, seed=2)
    plain, _ = labels_of(objective, batch_of(five))
    turned = torch.stack([SIDE - 1 - five[..., 0], five[..., 1]], dim=-1)[:, [1, 0, 2, 4, 3]]
    mirrored, _ = labels_of(objective, batch_of(turned))
    back = torch.stack([SIDE - 1 - mirrored[..., 0], mirrored[..., 1]], dim=-1)[
        :, list(MARKUP.flip_permutation)
    ]
    torch.testing.assert_close(back, plain, atol=1e-3, rtol=0)


def test_labels_follow_augmentation_under_their_names_there(labels_of):
    objective = taught()
    five, _ = drawn(BATCH, seed=3)
    flip = torch.arange(BATCH) % 2 == 0
    still = torch.zeros(BATCH, dtype=torch.float64)
    mirroring = affines(SIDE, still, still + 1, torch.zeros(BATCH, 2).double(), flip).float()
    plain, _ = labels_of(objective, batch_of(five))
    changed, _ = labels_of(objective, batch_of(five, affine_B23=mirroring, flip_B=flip))
    assert torch.equal(changed[1], plain[1])
    by_hand = plain[0, list(MARKUP.flip_permutation)] * torch.tensor([-1.0, 1.0]) + torch.tensor(
        [SIDE - 1.0, 0.0]
    )
    torch.testing.assert_close(changed[0], by_hand)


def test_the_loss_is_the_methods_on_the_labels_that_count(make_view, labels_of):
    objective = taught()
    five, _ = drawn(BATCH, seed=4)
    five[0] = torch.nan
    valid = torch.arange(BATCH) != 1
    batch = batch_of(five, valid_B=valid)
    labels, counts = labels_of(objective, batch)
    assert counts.sum(1).tolist() == [0, 0, 68, 68, 68, 68]
    points = (labels.nan_to_num() + 3.0).requires_grad_()
    loss, metrics = objective.generator_loss(
        None, make_view(REGRESSION, Output((Stage(points=points),)), batch)
    )
    expected, _ = REGRESSION.supervised(Output((Stage(points=points),)), labels, counts)
    torch.testing.assert_close(loss, expected)
    assert metrics["shape_apart_px"] == pytest.approx(18**0.5, rel=1e-4)
    assert metrics["shape_known"] == pytest.approx(4 / 6)
    loss.backward()
    assert points.grad[2:].all()
    assert not points.grad[:2].any()


def test_unknown_landmarks_stand_at_their_mean(labels_of):
    five, points = drawn(30)
    points[3, 5] = torch.nan
    objective = DetectorShape(68, SIDE, MARKUP)
    objective.learn(five, points)
    labels, _ = labels_of(objective, batch_of(drawn(BATCH, seed=1)[0]))
    whole, _ = labels_of(taught(), batch_of(drawn(BATCH, seed=1)[0]))
    assert labels.isfinite().all()
    assert (labels - whole).abs().max() < 1.0


def sees(plain: torch.Tensor, mirrored: torch.Tensor):
    return lambda images: Output((Stage(points=torch.cat([plain, mirrored])),))


def test_a_teachers_landmarks_enter_the_label_by_their_weight_and_move_with_it(labels_of):
    objective = DetectorShape(68, SIDE, MARKUP, teacher=0.4, teacher_from=10, teacher_ramp=20)
    objective.learn(*drawn(30))
    five, _ = drawn(BATCH, seed=5)
    five[0] = torch.nan
    flip = torch.arange(BATCH) % 2 == 0
    still = torch.zeros(BATCH, dtype=torch.float64)
    maps = affines(SIDE, still + 10, still + 1, torch.zeros(BATCH, 2).double(), flip).float()
    order = list(MARKUP.flip_permutation)
    theirs = torch.rand(BATCH, 68, 2) * 20 + 30
    # The mirrored view is 2 px off in x and y: seen from the plain image, −2 and +2 px, and the mean of both −1 and +1.
    mirrored = torch.stack([SIDE - 1 - theirs[:, order, 0], theirs[:, order, 1]], -1) + 2.0
    plain = objective.regressed(batch_of(five))
    for step, weight in ((10, 0.0), (20, 0.2), (30, 0.4), (99, 0.4)):
        assert objective.teacher_weight(step) == pytest.approx(weight)
        batch = batch_of(five, affine_B23=maps, flip_B=flip, draws=Draws(step=step))
        labels, counts = labels_of(objective, batch, sees(theirs, mirrored))
        blended = (1 - weight) * plain + weight * (theirs + torch.tensor([-1.0, 1.0]))
        moved = move(blended, maps)
        expected = torch.where(flip[:, None, None], moved[:, order], moved)
        torch.testing.assert_close(labels[1:], expected[1:], atol=1e-3, rtol=0)
        assert not counts[0].any()


def test_without_a_weight_no_teacher_is_asked_for():
    assert not DetectorShape(68, SIDE, MARKUP).needs_teacher
    assert DetectorShape(68, SIDE, MARKUP, teacher=0.1).needs_teacher


@pytest.mark.parametrize(
    "wrong", [{"teacher": 1.0}, {"teacher": -0.1}, {"teacher_from": -1}, {"teacher_ramp": -1}]
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=f"'detector_shape', {next(iter(wrong))} = "):
        DetectorShape(68, SIDE, MARKUP, **wrong)


@pytest.mark.parametrize("found", [0, 3])
def test_too_few_labelled_faces_with_points_are_refused(found):
    five, points = drawn(10)
    five[found:] = torch.nan
    with pytest.raises(
        ConfigError, match=rf"{found} labelled faces have the detector's five points, it needs 4"
    ):
        DetectorShape(68, SIDE, MARKUP).learn(five, points)


def test_unlabelled_faces_without_points_are_refused():
    with pytest.raises(
        ConfigError, match="'detector_shape': the first unlabelled faces have no points of a detector"
    ):
        taught().check(UnlabelledBatch.unchanged(torch.rand(2, 3, SIDE, SIDE)))
