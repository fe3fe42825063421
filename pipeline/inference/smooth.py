"""Landmarks of a video, smoothed over time: faces are followed, and each landmark has a Kalman filter of its own.

The filter (Kalman, "A New Approach to Linear Filtering and Prediction Problems", 1960) weighs each frame's landmark by the
covariance that the model states for it: a sure landmark is followed, an unsure one is carried on by its motion. The state of a
landmark is its position and velocity; between frames dt apart its acceleration is white, of standard deviation a:

    x⁻ = F x,  P⁻ = F P Fᵀ + Q,   F = [I, dt·I; 0, I],   Q = a² [dt⁴/4·I, dt³/2·I; dt³/2·I, dt²·I]
    S = H P⁻ Hᵀ + R,  G = P⁻ Hᵀ S⁻¹,  x = x⁻ + G (z − H x⁻),  P = (I − G H) P⁻,   H = [I, 0]

with z the frame's landmark and R = T²Σ its covariance, T the model's temperature (1 where it is not calibrated). a is given in
sides of the face per s². A network's errors on one face are alike from frame to frame, which no filter can see: it takes out
jitter, not bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.inference.predicted_face import Box, PredictedFace
from pipeline.inference.predictor import Predictor

_SAME_FACE = 0.3  # boxes of one face in successive frames overlap by more, as a share of their union
_SPEED = 2.0  # sides of the face per s: standard deviation of a velocity that nothing is known of


@dataclass
class _Track:
    number: int
    box: Box
    seconds: float
    state_K4: np.ndarray
    covariance_K44: np.ndarray


class Smoother:
    """Follows the faces of one video.

    Args:
        predictor: For confidences, and the temperature.
        acceleration: a, sides of the face per s²; the lower, the smoother.

    Raises:
        ConfigError: Not a positive number.
    """

    def __init__(self, predictor: Predictor, acceleration: float) -> None:
        if not acceleration > 0:
            raise ConfigError(f"smoothing, acceleration {acceleration}: must be above 0")
        self._predictor, self._acceleration = predictor, acceleration
        self._heat = (predictor.temperature or 1.0) ** 2
        self._tracks: list[_Track] = []
        self._faces = 0

    def frame(self, faces: Sequence[PredictedFace], seconds: float) -> tuple[list[PredictedFace], list[int]]:
        """The faces of the next frame, smoothed, and the track each of them is on.

        A face that no track ends in begins one; a track without a face in this frame ends.

        Args:
            faces: As predicted.
            seconds: From the video's start; later than the last frame's.

        Raises:
            ConfigError: The model states no uncertainty.
        """
        free, kept, smoothed = list(self._tracks), [], []
        for face in faces:
            if face.covariance_K22 is None:
                raise ConfigError(
                    "the model states no uncertainty, by which smoothing weighs: leave --smooth out"
                )
            near = max(free, key=lambda track: overlap(track.box, face.box), default=None)
            noise_K22 = self._heat * face.covariance_K22
            if near is None or overlap(near.box, face.box) < _SAME_FACE or seconds <= near.seconds:
                track = self._begin(face, noise_K22, seconds)
            else:
                free.remove(near)
                track = self._go_on(near, face, noise_K22, seconds)
            kept.append(track)
            covariance_K22 = track.covariance_K44[:, :2, :2] / self._heat
            smoothed.append(self._predictor.answered(face, track.state_K4[:, :2].copy(), covariance_K22))
        self._tracks = kept
        return smoothed, [track.number for track in kept]

    def _begin(self, face: PredictedFace, noise_K22: np.ndarray, seconds: float) -> _Track:
        count = len(face.points_K2)
        covariance_K44 = np.zeros((count, 4, 4))
        covariance_K44[:, :2, :2] = noise_K22
        covariance_K44[:, 2:, 2:] = np.eye(2) * (_SPEED * face.size) ** 2
        state_K4 = np.concatenate([face.points_K2, np.zeros((count, 2))], axis=1)
        self._faces += 1
        return _Track(self._faces, face.box, seconds, state_K4, covariance_K44)

    def _go_on(self, track: _Track, face: PredictedFace, noise_K22: np.ndarray, seconds: float) -> _Track:
        dt, identity = seconds - track.seconds, np.eye(2)
        motion_44 = np.kron(np.array([[1.0, dt], [0.0, 1.0]]), identity)
        pushed_44 = np.kron(np.array([[dt**4 / 4, dt**3 / 2], [dt**3 / 2, dt**2]]), identity)
        state_K4 = track.state_K4 @ motion_44.T
        covariance_K44 = motion_44 @ track.covariance_K44 @ motion_44.T
        covariance_K44 += (self._acceleration * face.size) ** 2 * pushed_44
        innovation_K22 = covariance_K44[:, :2, :2] + noise_K22
        gain_K42 = covariance_K44[:, :, :2] @ np.linalg.inv(innovation_K22)
        off_K2 = face.points_K2 - state_K4[:, :2]
        return _Track(
            track.number,
            face.box,
            seconds,
            state_K4 + (gain_K42 @ off_K2[..., None])[..., 0],
            covariance_K44 - gain_K42 @ covariance_K44[:, :2, :],
        )


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = ((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return shared / (sum(areas) - shared)
