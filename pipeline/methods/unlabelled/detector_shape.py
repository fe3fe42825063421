"""Dense weak labels from the detector's five points: all landmarks of an unlabelled face, by a regression that the labels teach.

Given where the pupils, the nose tip and the mouth corners are, little is left open about a face: in the frame of its five points
(:func:`face_frame`) a ridge regression from these to all landmarks, fitted on the few labelled faces and their mirror images, is
nearer the truth than a network that was trained on those faces alone. Its predictions are labels for every unlabelled face that a
detector found; the generator learns them with its own loss, under augmentation, and the labelled faces beside them tell it what
the regression cannot know.

The regression is a function of the label budget and nothing else. Its penalty is chosen among ``PENALTIES`` by leaving labelled
faces out (each with its mirror image; in groups where there are many). A landmark that is unknown on a labelled face stands at
its mean there.

The regression errs where five points say nothing (the jaw of a face that opens its mouth); a network that has learned from it
sees the image, and errs elsewhere. So their mean is the better label. With ``teacher`` > 0 a label becomes, step by step, the
weighted mean of the regression's landmarks and those of the averaged generator (of the image and its mirror image):
self-training, held where it is by the regression, without rounds.

The detector was itself trained on five points of other faces: results with this objective use that supervision, and say so.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.augment.geometry import inside
from pipeline.errors import ConfigError
from pipeline.markup import Markup
from pipeline.methods.unlabelled.base import (
    Discriminator,
    StepView,
    UnlabelledBatch,
    UnlabelledObjective,
    detached,
    follow,
)
from pipeline.methods.unlabelled.detector_points import MIRRORED, check_five, face_frame
from pipeline.methods.unlabelled.teacher import ask_teacher
from pipeline.methods.unlabelled.weights import Weight

# Of the ridge, in units of the mean variance of its inputs.
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
_FOLDS = 16  # at most: with fewer faces each is left out alone
_LEAST_FACES = 4


class Regression(NamedTuple):
    """All landmarks from five, in the face's frame.

    Attributes:
        five_mean_10: Mean input.
        shape_mean_K2: Mean output.
        slope_10M: M = 2 K.
    """

    five_mean_10: Tensor
    shape_mean_K2: Tensor
    slope_10M: Tensor

    def __call__(self, five_N52: Tensor) -> Tensor:
        """Landmarks (N, K, 2) of five points, both in the frame."""
        change_NM = (five_N52.flatten(1) - self.five_mean_10) @ self.slope_10M
        return self.shape_mean_K2 + change_NM.unflatten(-1, (-1, 2))


def fit(five_N52: Tensor, shape_NK2: Tensor, penalty: float) -> Regression:
    """Ridge regression with an unpenalised mean.

    Args:
        five_N52: Five points in the face's frame.
        shape_NK2: All landmarks there.
        penalty: Of the squared slope, in units of the mean variance of the ten inputs.
    """
    x_N10, y_NM = five_N52.flatten(1), shape_NK2.flatten(1)
    x_mean, y_mean = x_N10.mean(0), y_NM.mean(0)
    x_N10, y_NM = x_N10 - x_mean, y_NM - y_mean
    covariance = x_N10.T @ x_N10 / len(x_N10)
    ridge = penalty * covariance.diagonal().mean().clamp(min=1e-12)
    slope = torch.linalg.solve(covariance + ridge * torch.eye(10).to(covariance), x_N10.T @ y_NM / len(x_N10))
    return Regression(x_mean, y_mean.unflatten(0, (-1, 2)), slope)


class DetectorShape(UnlabelledObjective):
    """The method's loss on landmarks that a regression reads off the detector's five points.

    Args:
        num_landmarks: K.
        image_size: Side of the network's input, px.
        markup: Of the landmarks.
        teacher: Weight of the averaged generator in a label, at its highest; 0 leaves it out, 1 would leave the regression out.
        teacher_from: Optimizer step up to which labels are the regression's alone.
        teacher_ramp: Optimizer steps from there in which the weight rises to ``teacher``.

    Raises:
        ConfigError: A value out of range.

    Attributes:
        penalty: Chosen for the ridge; None before :meth:`learn`.
        left_out_error: Of faces left out, mean distance over landmarks, in units of :func:`face_frame`; None before it.
    """

    weight = Weight(share=1.0)

    def __init__(
        self,
        num_landmarks: int,
        image_size: int,
        markup: Markup,
        teacher: float = 0.0,
        teacher_from: int = 1000,
        teacher_ramp: int = 1000,
    ) -> None:
        if not 0.0 <= teacher < 1.0:
            raise ConfigError(
                f"objective 'detector_shape', teacher = {teacher}: it must be in 0 … 1, 1 excluded (that is 'mean_teacher')"
            )
        for name, steps in (("teacher_from", teacher_from), ("teacher_ramp", teacher_ramp)):
            if steps < 0:
                raise ConfigError(
                    f"objective 'detector_shape', {name} = {steps}: a number of steps is not negative"
                )
        self.needs_teacher = teacher > 0.0
        self._teacher = Weight(fixed=teacher, start_step=teacher_from, ramp_steps=teacher_ramp)
        self.side = image_size
        self.permutation_K = torch.from_numpy(markup.flip_permutation)
        self.penalty: float | None = None
        self.left_out_error: float | None = None
        self._regression: Regression | None = None

    def learn(self, five_N52: Tensor, points_NK2: Tensor) -> None:
        """Fit the regression.

        Raises:
            ConfigError: Too few labelled faces have a detector's points.
        """
        usable_N = five_N52.isfinite().all((1, 2)) & points_NK2.isfinite().any((1, 2))
        if int(usable_N.sum()) < _LEAST_FACES:
            raise ConfigError(
                f"objective 'detector_shape': {int(usable_N.sum())} labelled faces have the detector's five points, it needs "
                f"{_LEAST_FACES}: prepare them with crop.points=detector, raise data.labelled_count, or leave the objective out"
            )
        five_N52, shape_NK2 = self._framed(five_N52[usable_N].double(), points_NK2[usable_N].double())
        unknown = ~shape_NK2.isfinite()
        shape_NK2 = torch.where(unknown, shape_NK2.nanmean(0).nan_to_num(), shape_NK2)
        errors = {penalty: self._left_out(five_N52, shape_NK2, penalty) for penalty in PENALTIES}
        self.penalty = min(errors, key=lambda penalty: errors[penalty])
        self.left_out_error = errors[self.penalty]
        fitted = fit(*self._with_mirrored(five_N52, shape_NK2), self.penalty)
        self._regression = Regression(*(part.float() for part in fitted))

    def _framed(self, five_N52: Tensor, points_NK2: Tensor) -> tuple[Tensor, Tensor]:
        unit_N, axes_N22 = face_frame(five_N52)
        centre_N12, unit_N11 = five_N52.mean(1, keepdim=True), unit_N[:, None, None]
        return (five_N52 - centre_N12) @ axes_N22 / unit_N11, (points_NK2 - centre_N12) @ axes_N22 / unit_N11

    def _with_mirrored(self, five_N52: Tensor, shape_NK2: Tensor) -> tuple[Tensor, Tensor]:
        across = five_N52.new_tensor([-1.0, 1.0])  # the frame's y-axis runs along the face
        return (
            torch.cat([five_N52, five_N52[:, MIRRORED] * across]),
            torch.cat([shape_NK2, shape_NK2[:, self.permutation_K] * across]),
        )

    def _left_out(self, five_N52: Tensor, shape_NK2: Tensor, penalty: float) -> float:
        fold_N = torch.arange(len(five_N52)) % min(_FOLDS, len(five_N52))
        errors = []
        for fold in fold_N.unique():
            out_N = fold_N == fold
            fitted = fit(*self._with_mirrored(five_N52[~out_N], shape_NK2[~out_N]), penalty)
            errors.append((fitted(five_N52[out_N]) - shape_NK2[out_N]).norm(dim=-1).mean(-1))
        return float(torch.cat(errors).mean())

    def check(self, batch: UnlabelledBatch) -> None:
        """Faces without the points have nothing to teach."""
        check_five("detector_shape", batch)

    def labels(self, view: StepView) -> tuple[Tensor, Tensor]:
        """Landmarks of the changed images.

        Returns:
            (B, K, 2) px of ``view.unlabelled.images_B3HW``, and (B, K) bool, those that count.
        """
        batch = view.unlabelled
        points_BK2 = self.regressed(batch)
        weight = self.teacher_weight(batch.draws.step)
        if weight > 0.0:
            # A face without five points stays without a label: NaN.
            points_BK2 = points_BK2.lerp(ask_teacher(view, self.permutation_K, self.side)[0], weight)
        order_K = self.permutation_K.to(points_BK2.device)
        points_BK2 = follow(points_BK2, batch.affine_B23, batch.flip_B, order_K)
        return points_BK2, inside(points_BK2, self.side) & batch.valid_B[:, None]

    def teacher_weight(self, step: int) -> float:
        """Of the averaged generator in a label, at an optimizer step."""
        assert self._teacher.fixed is not None
        return self._teacher.fixed * self._teacher.ramp(step)

    def regressed(self, batch: UnlabelledBatch) -> Tensor:
        """The regression's landmarks (B, K, 2), px of ``plain_B3HW``; NaN where there are no five points.

        Raises:
            TypeError: Before :meth:`learn`.
        """
        if self._regression is None:
            raise TypeError("detector_shape has not seen the labelled faces")
        regression = Regression(*(part.to(batch.five_B52.device) for part in self._regression))
        unit_B, axes_B22 = face_frame(batch.five_B52)
        centre_B12 = batch.five_B52.mean(1, keepdim=True)
        framed_B52 = (batch.five_B52 - centre_B12) @ axes_B22 / unit_B[:, None, None]
        return regression(framed_B52) @ axes_B22.mT * unit_B[:, None, None] + centre_B12

    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The method's loss, mean over the landmarks that count."""
        points_BK2, counts_BK = self.labels(view)
        loss, _ = view.method.supervised(view.output, points_BK2, counts_BK)
        ours_BK2 = view.method.points(view.output).detach()
        apart_BK = torch.where(counts_BK, (ours_BK2 - points_BK2).norm(dim=-1), 0.0)
        known = counts_BK.sum().clamp(min=1)
        return loss, detached(
            shape=loss, shape_apart_px=apart_BK.sum() / known, shape_known=counts_BK.float().mean()
        )


OBJECTIVE = DetectorShape
