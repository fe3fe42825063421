"""Adversarial objective of Robinson et al., "Laplace Landmark Localization", ICCV 2019: eqs. 4–7, algorithm 1.

A PatchGAN D sees the K + 3 channels [image, heatmaps]. Real pairs are labelled images with ω(s), the true heatmap drawn
from the loss's own distribution; fake pairs are unlabelled images with the generator's heatmaps.

Deviations, each with its reason:
- Non-saturating generator loss by default: log(1 − D) of eq. 5 has no gradient while D wins; ``form: saturating`` is eq. 5.
- Landmark masks: D sees real heatmaps of unknown landmarks as empty channels, and the fakes beside them carry the same empty
  channels, so that missing landmarks give nothing away. The paper could not train such sets (section 4.3, AFLW).
- ``gain`` multiplies the heatmaps of both kinds before D. Normalised heatmaps peak near 0.2 and are zero almost everywhere,
  no larger than the noise (σ = 0.2) that D adds to its input. The default 1 is the paper's text.
- Where heatmaps are smaller than the input, D sees the image at their size; a regressor's heatmaps are drawn from its points.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from pipeline.losses.adversarial import discriminator_loss, generator_loss
from pipeline.methods.unlabelled.base import Discriminator, StepView, UnlabelledObjective, detached
from pipeline.registry import Part, build


class Adversarial(UnlabelledObjective):
    """The discriminator and both sides' losses.

    Args:
        num_landmarks: K.
        image_size: Side of the network input, px.
        form: Generator's side: ``nonsaturating`` or eq. 5's ``saturating``.
        gain: Factor on the heatmaps before D.
        discriminator: Name and parameters of D.
    """

    def __init__(
        self,
        num_landmarks: int,
        image_size: int,
        form: Literal["nonsaturating", "saturating"] = "nonsaturating",
        gain: float = 1.0,
        discriminator: dict[str, Any] | None = None,
    ) -> None:
        part = Part.model_validate(discriminator or {"name": "patchgan"})
        self.discriminator = build("discriminator", part, in_channels=num_landmarks + 3)
        self.form: Literal["nonsaturating", "saturating"] = form
        self.gain = gain

    def _pair(self, images_B3HW: Tensor, heatmaps_BKHW: Tensor) -> Tensor:
        size = heatmaps_BKHW.shape[-2:]
        if images_B3HW.shape[-2:] != size:
            images_B3HW = F.interpolate(
                images_B3HW, size, mode="bilinear", antialias=True, align_corners=False
            )
        return torch.cat([images_B3HW * 2 - 1, heatmaps_BKHW.to(images_B3HW.dtype) * self.gain], dim=1)

    @staticmethod
    def _blank(heatmaps_BKHW: Tensor, mask_BK: Tensor) -> Tensor:
        if bool(mask_BK.all()):
            return heatmaps_BKHW
        rows = torch.arange(len(heatmaps_BKHW), device=mask_BK.device) % len(mask_BK)
        return heatmaps_BKHW * mask_BK[rows, :, None, None].to(heatmaps_BKHW.dtype)

    def discriminator_loss(
        self, discriminator: Discriminator, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus eq. 5: D learns to tell real pairs from fake ones."""
        truth = view.method.draw_true(view.target_BK2, view.mask_BK)
        real = discriminator(self._pair(view.labelled_B3HW, truth))
        fake = discriminator(
            self._pair(view.unlabelled_B3HW, self._blank(view.heatmaps.detach(), view.mask_BK))
        )
        loss = discriminator_loss(
            real, fake, view.mask_BK.any(dim=1).to(real.dtype), view.valid_B.to(real.dtype)
        )
        return loss, detached(
            discriminator=loss, real_share=(real > 0).float().mean(), fake_share=(fake < 0).float().mean()
        )

    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator learns to make pairs that D takes for real."""
        if discriminator is None:
            raise TypeError("the adversarial objective needs its discriminator")
        fake = discriminator(self._pair(view.unlabelled_B3HW, self._blank(view.heatmaps, view.mask_BK)))
        loss = generator_loss(fake, self.form, view.valid_B.to(fake.dtype))
        return loss, detached(adversarial=loss)


OBJECTIVE = Adversarial
