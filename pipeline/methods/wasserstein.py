"""2-D Wasserstein: the cost of moving the predicted heatmap's mass onto the true one's.

Source: Yan et al., "2D Wasserstein Loss for Robust Facial Landmark Detection", Pattern Recognition 2021, eqs. 3–6. Generator:
HRNet-W18 (also stacked hourglass, CPN, SimpleBaselines; CoordConv as a variant); loss: entropic W₁ with Euclidean ground cost
to a Gaussian (eq. 4); decoder: barycentre (GET_BC, eq. 6), which the paper finds the better one for this loss;
``decoder.name=quarter_shift`` is GET_MAX. Baselines in the same harness: ``loss.name`` heatmap_l2, jensen_shannon, softargmax_l2.
"""

from __future__ import annotations

from pipeline.heatmaps.decoder import Decoder
from pipeline.heatmaps.decoders.barycentre import Barycentre
from pipeline.heatmaps.decoders.quarter_shift import QuarterShift
from pipeline.losses.pixel_values import PixelValueLoss
from pipeline.methods.base import Method, SupervisedLoss


class Wasserstein(Method):
    """See :class:`~pipeline.methods.base.Method`; reads distributions by their barycentre.

    Losses on values of pixels are read by GET_MAX: their background is no part of a distribution (table 2: barycentre
    multiplies the error of heatmap L2 by six).
    """

    own_decoder = Barycentre
    own_decoder_reads_all = True

    @classmethod
    def default_decoder(cls, loss: SupervisedLoss, gives: frozenset[str]) -> Decoder | None:
        """GET_BC, or GET_MAX for losses on values of pixels."""
        if isinstance(loss, PixelValueLoss) and "heatmaps" in gives:
            return QuarterShift()
        return super().default_decoder(loss, gives)


METHOD = Wasserstein
