"""UGLLI: the likelihood of the landmarks under a Gaussian whose mean and covariance every U-net estimates.

Source: Kumar et al., "UGLLI Face Alignment: Estimating Uncertainty with Gaussian Log-Likelihood Loss", ICCVW 2019, eqs. 1–3,
section 3. Generator: DU-Net with the Cholesky Estimator Network; mean: spatial mean of the ReLU of the heatmap (ablations:
``decoder.name`` softargmax, temperature_softargmax); covariance: Σ = LLᵀ of the network; loss: eq. 2 of every U-net, summed with
λ_i = 1 (``stages``).

With ``model.cholesky=false``, or another generator, the covariance is the heatmap's second moments: the paper's ablation.
"""

from __future__ import annotations

from pipeline.heatmaps.decoders.relu_mean import ReluMean
from pipeline.methods.base import Method


class UGLLI(Method):
    """See :class:`~pipeline.methods.base.Method`; reads heatmaps by the mean of their ReLU."""

    own_decoder = ReluMean


METHOD = UGLLI
