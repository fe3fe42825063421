"""Target heatmaps for losses on the values of pixels: a Gaussian of height 1, as heatmap L2 and AWing regress.

Sources: Wang et al., "Adaptive Wing Loss", ICCV 2019, section 3; Yan et al., Pattern Recognition 2021,
section 5.2; the point maps of Huang et al., "ADNet", ICCV 2021, section 4.1 (σ = 1.5 cells).

Shapes: points_BK2 (x, y) in px; heatmaps_BKHW in 0 … 1, sampled at the pixels' centres, so the height is
exactly 1 only where the point is a pixel's centre. They are no distributions:
:func:`pipeline.heatmaps.draw.gaussian_heatmaps` draws those.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.heatmaps.separable import separable_heatmaps


def unit_gaussian_heatmaps(
    points_BK2: Tensor, size: tuple[int, int], sigma: float = 1.0, mask_BK: Tensor | None = None
) -> Tensor:
    """exp(−‖x − s‖² / 2σ²) at every pixel.

    Args:
        points_BK2: landmarks, px; may lie outside the grid. Masked ones may be anything, NaN included.
        size: (h, w) of the heatmaps.
        sigma: σ, px.
        mask_BK: True where a landmark is known; the others get an all-zero heatmap.

    Returns:
        heatmaps_BKHW, at least float32.

    Raises:
        ValueError: a σ that is not positive.

    Example:
        >>> import torch
        >>> unit_gaussian_heatmaps(torch.tensor([[[2.0, 1.0]]]), (3, 5))[0, 0, 1].argmax().item()
        2
    """
    if sigma <= 0.0:
        raise ValueError(f"unit_gaussian_heatmaps: sigma is {sigma}; it must be positive")
    return separable_heatmaps(
        points_BK2, size, lambda distance_BKN: (-0.5 * (distance_BKN / sigma).square()).exp(), mask_BK
    )
