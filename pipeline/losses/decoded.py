"""A coordinate loss on what a decoder reads from heatmaps: any generator of heatmaps with any coordinate loss.

Sources: "softargmax" supervision, Robinson et al., ICCV 2019, eqs. 1–2 and Huang et al., "ADNet", ICCV 2021,
eq. 9; the ReLU mean of Kumar et al., "UGLLI", ICCVW 2019, section 3.1. All differentiable decoders turn
scores into a distribution p_BKHW and take its mean (:class:`~pipeline.heatmaps.decoder.MeanDecoder`), so the loss is a
:class:`HeatmapLoss` on that distribution.

A loss that needs a covariance gets the heatmap's second moments, with the variance of a pixel added. UGLLI
found them a poor substitute for a network's own estimate: heatmaps are too coarse for uncertainties of a
fraction of a pixel.
"""

from __future__ import annotations

from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.heatmaps.decode import mean
from pipeline.heatmaps.decoder import Decoder, MeanDecoder
from pipeline.heatmaps.decoders.softargmax import Softargmax
from pipeline.heatmaps.draw import laplace_heatmaps
from pipeline.heatmaps.stride import to_pixels
from pipeline.heatmaps.uncertainty import cholesky_factor
from pipeline.losses.base import HeatmapLoss
from pipeline.losses.coordinates import CoordinateLoss, CovarianceLoss, Gaussian


class Decoded(HeatmapLoss):
    """A loss on the points, and if need be the covariances, of heatmaps.

    Args:
        loss: on points, px of the heatmap grid.
        decoder: differentiable; None is softargmax with β = 1.
        true_scale: b, cells, of the Laplace heatmaps drawn for a discriminator; the loss itself does not use it.
        stride: input px per cell: points and covariances reach the loss in input px, whatever the heatmaps' size, so that
            its thresholds mean the same on every network. 1 leaves them in px of the grid.

    Raises:
        ConfigError: a decoder without a gradient, or a loss on heatmaps.
    """

    def __init__(
        self,
        loss: CoordinateLoss | CovarianceLoss,
        decoder: Decoder | None = None,
        true_scale: float = 1.0,
        stride: int = 1,
    ) -> None:
        super().__init__(true_scale)
        if loss.needs == "heatmaps":
            raise ConfigError(
                f"{type(loss).__name__} is a loss on heatmaps: it trains them itself, with any decoder"
            )
        decoder = decoder or Softargmax()
        if not isinstance(decoder, MeanDecoder):
            raise ConfigError(
                f"{type(loss).__name__} cannot train through decoder '{decoder.name}', which has no gradient: "
                "take one that is a mean, e.g. softargmax, or a loss on heatmaps"
            )
        self.loss = loss
        self.stride = stride
        self.weights = decoder.weights

    def heatmaps(self, logits_BKHW: Tensor) -> Tensor:
        """The decoder's distribution, p_BKHW."""
        return self.weights(logits_BKHW)

    def stand_in(self, p_BKHW: Tensor) -> Tensor:
        """The prediction, as for every loss on points."""
        return mean(p_BKHW.detach())

    def per_landmark(self, p_BKHW: Tensor, target_BK2: Tensor, mask_BK: Tensor | None = None) -> Tensor:
        """Loss of each landmark, (B, K)."""
        points_BK2 = to_pixels(mean(p_BKHW), self.stride)
        target_BK2 = to_pixels(target_BK2, self.stride).to(points_BK2.dtype)
        if isinstance(self.loss, CovarianceLoss):
            factor_BK22 = cholesky_factor(self.covariance(p_BKHW)) * self.stride
            return self.loss.per_landmark(Gaussian(points_BK2, factor_BK22), target_BK2, mask_BK)
        return self.loss.per_landmark(points_BK2, target_BK2, mask_BK)

    def draw_true(self, target_BK2: Tensor, size: tuple[int, int], mask_BK: Tensor | None = None) -> Tensor:
        """Laplace(s, ``true_scale``) on the pixel grid, p_BKHW: a choice, as the loss holds no distribution for true."""
        return laplace_heatmaps(target_BK2, size, self.true_scale, mask_BK)
