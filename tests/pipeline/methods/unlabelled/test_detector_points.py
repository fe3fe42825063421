"""The detector's points: means of the right landmarks, the offset learned, augmentation followed, what is missing left out."""

from dataclasses import replace

import pytest
import torch

from pipeline.augment.geometry import affines, move
from pipeline.errors import ConfigError
from pipeline.losses.l1 import L1
from pipeline.markup import load_markup
from pipeline.methods.laplace import Laplace
from pipeline.methods.unlabelled.base import UnlabelledBatch
from pipeline.methods.unlabelled.detector_points import DetectorPoints, face_frame
from pipeline.models.output import Output, Stage, Traits

MARKUP, SIDE, BATCH = load_markup("ibug68"), 80, 4
REGRESSION = Laplace(L1(), Traits(gives=frozenset({"points"})), MARKUP, SIDE)
FACE = torch.tensor([[28.0, 30.0], [52.0, 31.0], [41.0, 44.0], [31.0, 56.0], [50.0, 57.0]])


def objective(**parameters) -> DetectorPoints:
    return DetectorPoints(68, SIDE, MARKUP, **parameters)


def similarities(seed=0) -> torch.Tensor:
    """(BATCH, 2, 3) turns, sizes and shifts."""
    u = torch.rand(BATCH, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    return affines(SIDE, u[:, 0] * 120, 1 + u[:, 1] * 0.6, u[:, 2:] * 0.1).float()


def landmarks_of(five: torch.Tensor) -> torch.Tensor:
    """68 landmarks whose five means are ``five``, and none of which lies on its mean where there are several."""
    points = torch.full((len(five), 68, 2), 40.0)
    for place, group in enumerate(MARKUP.five_points):
        along = torch.arange(len(group)) - (len(group) - 1) / 2
        points[:, list(group)] = five[:, place, None] + along[:, None] * torch.tensor([2.0, 1.0])
    return points


def view_of(make_view, batch: UnlabelledBatch, points: torch.Tensor):
    return make_view(REGRESSION, Output((Stage(points=points),)), batch)


def batch_of(five: torch.Tensor, **changes) -> UnlabelledBatch:
    return replace(UnlabelledBatch.unchanged(torch.rand(len(five), 3, SIDE, SIDE), five), **changes)


def test_means_on_the_points_cost_nothing_and_others_their_distance(make_view):
    five = FACE.repeat(BATCH, 1, 1)
    chosen = objective(scale=0.05)  # 4 px
    points = landmarks_of(five)
    loss, metrics = chosen.generator_loss(None, view_of(make_view, batch_of(five), points))
    torch.testing.assert_close(loss, torch.tensor(0.0), atol=1e-8, rtol=0)
    assert metrics["five_known"] == 1.0
    # 2 px is half a unit, squared and halved; 8 px two units, less a half: for each of the points.
    moved = points + torch.tensor([2.0, -8.0])
    loss, metrics = chosen.generator_loss(None, view_of(make_view, batch_of(five), moved))
    torch.testing.assert_close(loss, torch.tensor(0.125 + 1.5), rtol=1e-4, atol=0)
    torch.testing.assert_close(metrics["five_apart_px"], torch.tensor(68.0).sqrt(), rtol=1e-4, atol=0)


def test_the_frame_moves_turns_and_grows_with_the_face():
    maps = similarities()
    faces = move(FACE.repeat(BATCH, 1, 1), maps)
    unit, axes = face_frame(faces)
    plain_unit, plain_axes = face_frame(FACE[None])
    linear = maps[:, :, :2]
    grown = torch.linalg.det(linear).sqrt()
    torch.testing.assert_close(unit, plain_unit * grown)
    torch.testing.assert_close(axes, linear / grown[:, None, None] @ plain_axes)


def test_the_lasting_difference_is_learned_whatever_the_pose_of_the_faces(make_view):
    offset = torch.tensor([[1.0, 0.5], [-1.0, 0.5], [0.0, -2.0], [0.3, 0.0], [-0.3, 0.0]])
    maps = similarities(1)
    five = move(FACE.repeat(BATCH, 1, 1), maps)
    points = move(landmarks_of((FACE + offset).repeat(BATCH, 1, 1)), maps)
    # A wild face, and one that no detector found.
    five_all = torch.cat([five, five[:1] + 30 * torch.rand(1, 5, 2), torch.full((1, 5, 2), torch.nan)])
    chosen = objective()
    chosen.learn(five_all.double(), torch.cat([points, points[:1], points[:1]]).double())
    elsewhere = similarities(2)
    new_five = move(FACE.repeat(BATCH, 1, 1), elsewhere)
    target, counts = chosen.targets(batch_of(new_five))
    assert counts.all()
    expected = move((FACE + offset).repeat(BATCH, 1, 1), elsewhere)
    torch.testing.assert_close(target, expected, atol=0.05, rtol=0)


def test_nothing_is_learned_where_no_detector_found_a_face():
    chosen = objective()
    chosen.learn(torch.full((3, 5, 2), torch.nan), torch.rand(3, 68, 2))
    assert not chosen.offset_52.any()


def test_points_follow_augmentation_under_their_names_there():
    five = FACE.repeat(BATCH, 1, 1)
    flip = torch.tensor([True, False, True, False])
    still = torch.zeros(BATCH, dtype=torch.float64)
    mirrored = affines(SIDE, still, still + 1, torch.zeros(BATCH, 2).double(), flip).float()
    target, _ = objective().targets(batch_of(five, affine_B23=mirrored, flip_B=flip))
    assert torch.equal(target[1], FACE)
    by_hand = FACE[[1, 0, 2, 4, 3]] * torch.tensor([-1.0, 1.0]) + torch.tensor([SIDE - 1.0, 0.0])
    torch.testing.assert_close(target[0], by_hand)
    assert target[0, 0, 0] < target[0, 1, 0]  # the left pupil is still the left one


def test_missing_points_points_outside_and_unreadable_images_do_not_count(make_view):
    five = FACE.repeat(BATCH, 1, 1)
    five[0] = torch.nan
    five[1, 2] = torch.tensor([-9.0, 20.0])
    valid = torch.tensor([True, True, True, False])
    chosen, batch = objective(), batch_of(five, valid_B=valid)
    _, counts = chosen.targets(batch)
    assert counts.sum(1).tolist() == [0, 4, 5, 0]
    points = landmarks_of(FACE.repeat(BATCH, 1, 1)).requires_grad_()
    loss, metrics = chosen.generator_loss(None, view_of(make_view, batch, points + 1.0))
    assert loss.isfinite()
    assert metrics["five_known"] == 9 / 20
    loss.backward()
    assert points.grad.isfinite().all()
    assert not points.grad[[0, 3]].any()
    torch.testing.assert_close(points.grad[2, 36:42], points.grad[2, 36:37].expand(6, 2))


def test_faces_without_any_points_are_refused_and_few_are_complained_of():
    chosen = objective()
    chosen.check(batch_of(FACE[None]))
    with pytest.raises(ConfigError, match="no points of a detector: prepare them with"):
        chosen.check(batch_of(torch.full((2, 5, 2), torch.nan)))
    assert "30%" in chosen.complaint({"five_known": 0.3})
    assert chosen.complaint({"five_known": 0.9}) is None


def test_what_cannot_work():
    with pytest.raises(ConfigError, match="scale = 0"):
        objective(scale=0.0)
    with pytest.raises(ConfigError, match="has no 'five_points'"):
        DetectorPoints(39, SIDE, load_markup("menpo39"))
