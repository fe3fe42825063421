"""LaplaceKL: heatmaps as distributions, read by softargmax.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, eqs. 1–3. Generator: RCN; decoder: softargmax (eq. 2, β of
the loss); loss: LaplaceKL (eq. 3), or the paper's baseline softargmax-L2 (eq. 1) and GaussianKL. How unlabelled images join
(eqs. 4–7) is an objective, :mod:`pipeline.methods.unlabelled.adversarial`.

The paper supervises one output and adds nothing, so this is the general method under its name: any loss, generator and decoder.
"""

from __future__ import annotations

from pipeline.methods.base import Method


class Laplace(Method):
    """See :class:`~pipeline.methods.base.Method`."""


METHOD = Laplace
