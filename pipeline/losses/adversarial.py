"""Adversarial losses on the logits of a patch discriminator.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, eqs. 4 and 5: min_G max_D L_adv with

    L_adv = E[log D(real)] + E[log(1 − D(fake))].

Shapes: logits (B, 1, h', w') or any (B, …), positive for real; the expectation is over samples and patches
alike.

Algorithm 1 of the paper gives both players the wrong sign (it descends L_adv for D and −L_adv for G); eqs. 4,
6 and 7 are followed. The non-saturating form for G (Goodfellow et al., NeurIPS 2014) is the usual remedy for
the vanishing gradient of log(1 − D) early on; the saturating form is eq. 5 as written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.precision import at_least_float32


def discriminator_loss(
    real_logits: Tensor,
    fake_logits: Tensor,
    real_weight_B: Tensor | None = None,
    fake_weight_B: Tensor | None = None,
) -> Tensor:
    """−L_adv of eq. 5, for D to minimise: binary cross-entropy on real plus binary cross-entropy on fake.

    Args:
        real_logits: (B, …) of labelled images with true heatmaps.
        fake_logits: (B', …) of unlabelled images with generated heatmaps; the batches may differ.
        real_weight_B: weight ≥ 0 per real sample; None weighs all alike.
        fake_weight_B: weight ≥ 0 per fake sample.

    Returns:
        scalar.
    """
    # log D = −softplus(−z) and log(1 − D) = −softplus(z): no sigmoid to saturate in float32 or bfloat16.
    real = _weighted_mean(F.softplus(-at_least_float32(real_logits)), real_weight_B)
    fake = _weighted_mean(F.softplus(at_least_float32(fake_logits)), fake_weight_B)
    return real + fake


def generator_loss(
    fake_logits: Tensor,
    form: Literal["nonsaturating", "saturating"] = "nonsaturating",
    weight_B: Tensor | None = None,
) -> Tensor:
    """What G minimises on generated heatmaps: −log D (non-saturating) or log(1 − D) (eq. 5).

    Args:
        fake_logits: (B, …).
        form: see above; both push D's logits up.
        weight_B: weight ≥ 0 per sample; None weighs all alike.

    Returns:
        scalar; the saturating form is negative.

    Raises:
        ValueError: an unknown form.
    """
    if form == "nonsaturating":
        return _weighted_mean(F.softplus(-at_least_float32(fake_logits)), weight_B)
    if form == "saturating":
        return -_weighted_mean(F.softplus(at_least_float32(fake_logits)), weight_B)
    raise ValueError(f"generator_loss: form is {form!r}; it is 'nonsaturating' or 'saturating'")


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real_BCHW: Tensor, weight_B: Tensor | None = None
) -> Tensor:
    """E‖∇D(real)‖²: the penalty R₁ without its γ/2 (Mescheder et al., ICML 2018, eq. 9). D is the mean logit of a pair.

    In float32, whatever the precision around it: the square of a gradient has no digits left in bfloat16.

    Args:
        discriminator: pairs (B, C, H, W) to logits (B, …); twice differentiable.
        real_BCHW: real pairs.
        weight_B: weight ≥ 0 per pair; None weighs all alike.

    Returns:
        scalar, with a graph to D's weights.
    """
    with torch.autocast(real_BCHW.device.type, enabled=False):
        pairs = real_BCHW.detach().float().requires_grad_()
        logits = discriminator(pairs).flatten(1).mean(1)
        (gradient,) = torch.autograd.grad(logits.sum(), pairs, create_graph=True)
        return _weighted_mean(gradient.flatten(1).square().sum(1, keepdim=True), weight_B)


def _weighted_mean(values: Tensor, weight_B: Tensor | None) -> Tensor:
    if weight_B is None:
        return values.mean()
    weight_B = weight_B.to(values.dtype)
    total = weight_B.sum()
    return (values.flatten(1).mean(1) * weight_B).sum() / torch.where(total > 0, total, 1.0)
