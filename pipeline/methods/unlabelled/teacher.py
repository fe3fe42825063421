"""What the averaged generator says of unlabelled images: of each as it was prepared and of its mirror image, averaged."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.heatmaps.uncertainty import spread
from pipeline.methods.unlabelled.base import StepView


def ask_teacher(view: StepView, permutation_K: Tensor, side: int) -> tuple[Tensor, Tensor | None]:
    """Landmarks of a step's plain images by the teacher, who is asked once a step, however many objectives want to know.

    Args:
        view: Of a step with a teacher.
        permutation_K: The landmark that takes the place of each when an image is mirrored.
        side: Of the images, px.

    Returns:
        (B, K, 2) px of ``view.unlabelled.plain_B3HW``; and |Σ|^{1/4} (B, K) px, where the method states an uncertainty.

    Raises:
        TypeError: The step has no teacher.
    """
    if view.teacher is None:
        raise TypeError("the objective needs the averaged generator: its needs_teacher is not set")
    if "teacher" in view.shared:
        told: tuple[Tensor, Tensor | None] = view.shared["teacher"]
        return told
    images_B3HW = view.unlabelled.plain_B3HW
    prediction = view.method.decode(view.teacher(torch.cat([images_B3HW, images_B3HW.flip(-1)])))
    plain_BK2, mirrored_BK2 = prediction.points_BK2.chunk(2)
    order_K = permutation_K.to(plain_BK2.device)
    mirrored_BK2 = mirrored_BK2[:, order_K]
    mirrored_BK2 = torch.stack([side - 1 - mirrored_BK2[..., 0], mirrored_BK2[..., 1]], dim=-1)
    spread_BK = None
    if prediction.covariance_BK22 is not None:
        # |Σ| of a mirrored landmark is that of the landmark.
        plain_BK, mirrored_BK = spread(prediction.covariance_BK22).chunk(2)
        spread_BK = (plain_BK + mirrored_BK[:, order_K]) / 2
    answer = (plain_BK2 + mirrored_BK2) / 2, spread_BK
    view.shared["teacher"] = answer
    return answer
