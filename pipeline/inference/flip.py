"""A prediction averaged over an image and its mirror image."""

from __future__ import annotations

import torch
from torch import Tensor

from pipeline.inference.mixture import mixture
from pipeline.methods.model_file import LandmarkModel


@torch.no_grad()
def averaged_over_flip(model: LandmarkModel, images_B3HW: Tensor) -> tuple[Tensor, Tensor | None]:
    """Landmarks and covariance as the mean and covariance of the two predictions' even mixture.

    Args:
        model: In evaluation mode.
        images_B3HW: In [0, 1], at the network's input size.

    Returns:
        points (B, K, 2), px of the input; covariances (B, K, 2, 2), px², or None where the model states none.
    """
    plain, mirrored = model(images_B3HW), model(images_B3HW.flip(-1))
    order_K = torch.from_numpy(model.description.layout.flip_permutation).to(images_B3HW.device)
    sign_2 = plain.points_BK2.new_tensor([-1.0, 1.0])
    offset_2 = plain.points_BK2.new_tensor([images_B3HW.shape[-1] - 1.0, 0.0])
    back_BK2 = (mirrored.points_BK2 * sign_2 + offset_2)[:, order_K]
    turned_BK22 = None
    if mirrored.covariance_BK22 is not None:
        turned_BK22 = (mirrored.covariance_BK22 * torch.outer(sign_2, sign_2))[:, order_K]
    return mixture([plain.points_BK2, back_BK2], [plain.covariance_BK22, turned_BK22])
