"""Adversarial objective of Robinson et al., "Laplace Landmark Localization", ICCV 2019: eqs. 4–7, algorithm 1.

A PatchGAN D sees the K + 3 channels [image, heatmaps]. Real pairs are labelled images with ω(s), the true heatmap drawn
from the loss's own distribution; fake pairs are images with the generator's heatmaps.

Where the default departs from the paper, and why (``configs/pieces/adversarial.yaml`` is the paper's text):
- ``heatmaps: unit_peak``: a density peaks near 0.1 and is zero almost everywhere, less than the noise (σ = 0.2) that D adds to
  its input: with the paper's ``density`` D judged the same with all heatmaps erased.
- ``fake_from: both``: with the paper's fakes on unlabelled images alone, where an image comes from tells real from fake, and D
  learned that (AUC 0.86) and nothing of the heatmaps (0.51 on the same images). Fakes on labelled images take that away.
- Non-saturating generator loss: log(1 − D) of eq. 5 has no gradient while D wins; ``form: saturating`` is eq. 5.
- Regularisers of D, off by default: ``r1`` (Mescheder et al., "Which Training Methods for GANs do actually Converge?", ICML
  2018), every ``r1_every`` steps and as much stronger (Karras et al., StyleGAN2, CVPR 2020); ``spectral_norm: true`` of the
  discriminator; ``pair_augmentation`` (:mod:`pipeline.methods.unlabelled.pairs`).
- Landmark masks: D sees real heatmaps of unknown landmarks as empty channels, and the fakes beside them carry the same empty
  channels, so that missing landmarks give nothing away. The paper could not train such sets (section 4.3, AFLW).
- ``gain`` multiplies the heatmaps of both kinds before D.
- Where heatmaps are smaller than the input, D sees the image at their size; a regressor's heatmaps are drawn from its points.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.losses.adversarial import discriminator_loss, generator_loss, gradient_penalty
from pipeline.markup import Markup
from pipeline.methods.unlabelled.auc import auc
from pipeline.methods.unlabelled.base import Discriminator, StepView, UnlabelledObjective, detached
from pipeline.methods.unlabelled.pairs import HeatmapScale, PairAugmentation, blank, pair, scaled
from pipeline.methods.unlabelled.weights import Weight
from pipeline.registry import Part, build

# D's loss where it wins, and where it says the same of everything (2 log 2 less its gradient's last trace).
_WINS, _COLLAPSED = 0.1, 1.38


class Adversarial(UnlabelledObjective):
    """The discriminator and both sides' losses.

    Args:
        num_landmarks: K.
        image_size: Side of the network input, px.
        markup: Of the landmarks.
        form: Generator's side: ``nonsaturating`` or eq. 5's ``saturating``.
        heatmaps: What D sees of them: each at ``unit_peak``, or its ``density``.
        fake_from: Images whose generated heatmaps are fakes: ``both`` kinds, or ``unlabelled`` ones alone.
        gain: Factor on the heatmaps before D.
        r1: γ of the penalty on D's gradient at real pairs; 0 is off.
        r1_every: Steps between penalties.
        pair_augmentation: Parameters of :class:`~pipeline.methods.unlabelled.pairs.PairAugmentation`; None is off.
        discriminator: Name and parameters of D.

    Raises:
        ConfigError: A value out of range.
    """

    weight = Weight(share=0.1, ramp_steps=400)

    def __init__(
        self,
        num_landmarks: int,
        image_size: int,
        markup: Markup,
        form: Literal["nonsaturating", "saturating"] = "nonsaturating",
        heatmaps: HeatmapScale = "unit_peak",
        fake_from: Literal["both", "unlabelled"] = "both",
        gain: float = 1.0,
        r1: float = 0.0,
        r1_every: int = 1,
        pair_augmentation: dict[str, float] | None = None,
        discriminator: dict[str, Any] | None = None,
    ) -> None:
        if r1 < 0.0 or r1_every < 1:
            raise ConfigError(
                f"objective 'adversarial', r1 = {r1}, r1_every = {r1_every}: at least 0, and at least 1"
            )
        part = Part.model_validate(discriminator or {"name": "patchgan"})
        self.discriminator = build("discriminator", part, in_channels=num_landmarks + 3)
        self.form: Literal["nonsaturating", "saturating"] = form
        self.scale: HeatmapScale = heatmaps
        self.both = fake_from == "both"
        self.gain = gain
        self.r1, self.r1_every = r1, r1_every
        try:
            self.augment = PairAugmentation(markup, **(pair_augmentation or {}))
        except TypeError as error:
            raise ConfigError(
                f"objective 'adversarial', pair_augmentation = {pair_augmentation}: it has translation, cutout and flip"
            ) from error

    def _pair(self, images_B3HW: Tensor, heatmaps_BKHW: Tensor) -> Tensor:
        return pair(images_B3HW, scaled(heatmaps_BKHW, self.scale) * self.gain)

    def _real(self, view: StepView) -> Tensor:
        return self._pair(view.labelled_B3HW, view.method.draw_true(view.target_BK2, view.mask_BK))

    def _labelled_fake(self, view: StepView) -> Tensor:
        return self._pair(view.labelled_B3HW, blank(view.labelled_heatmaps, view.mask_BK))

    def _unlabelled_fake(self, view: StepView) -> Tensor:
        return self._pair(view.unlabelled.images_B3HW, blank(view.heatmaps, view.mask_BK))

    def _fake(self, view: StepView) -> tuple[Tensor, Tensor]:
        """Fake pairs, with gradient to the heatmaps; and bool, the pairs that count."""
        pairs, counts_B = self._unlabelled_fake(view), view.unlabelled.valid_B
        if self.both:
            pairs = torch.cat([self._labelled_fake(view), pairs])
            counts_B = torch.cat([view.mask_BK.any(dim=1), counts_B])
        return pairs, counts_B

    def discriminator_loss(
        self, discriminator: Discriminator, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Minus eq. 5: D learns to tell real pairs from fake ones."""
        real_pairs = self._real(view)
        real = discriminator(self.augment(real_pairs))
        fake_pairs, counts_B = self._fake(view)
        fake = discriminator(self.augment(fake_pairs.detach()))
        known_B = view.mask_BK.any(dim=1)
        loss = discriminator_loss(real, fake, known_B.to(real.dtype), counts_B.to(fake.dtype))
        metrics = detached(
            discriminator=loss, real_share=(real > 0).float().mean(), fake_share=(fake < 0).float().mean()
        )
        if self.r1 and view.unlabelled.draws.step % self.r1_every == 0:
            # Through the bare module: an engine's output has hooks that take any backward for the engine's own.
            module = getattr(discriminator, "module", discriminator)
            penalty = gradient_penalty(module, self.augment(real_pairs), known_B)
            metrics |= detached(r1=penalty)
            loss = loss + self.r1 / 2 * self.r1_every * penalty
        return loss, metrics

    def generator_loss(
        self, discriminator: Discriminator | None, view: StepView
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator learns to make pairs that D takes for real."""
        if discriminator is None:
            raise TypeError("the adversarial objective needs its discriminator")
        pairs, counts_B = self._fake(view)
        fake = discriminator(self.augment(pairs))
        loss = generator_loss(fake, self.form, counts_B.to(fake.dtype))
        return loss, detached(adversarial=loss)

    @torch.no_grad()
    def validate(self, discriminator: nn.Module | None, view: StepView) -> dict[str, float]:
        """What D has learned to tell: true from generated heatmaps on the same images, and one origin of images from another.

        Areas under the ROC curve of D's mean logit, 0.5 where it cannot tell. D is asked as it works: in training mode, one kind
        at a time; a copy, as its running statistics are not to see held-out faces.
        """
        assert discriminator is not None  # it has one
        judge = copy.deepcopy(discriminator).train()
        generated = self._labelled_fake(view)
        true_B, generated_B, other_B = (
            judge(pairs).float().flatten(1).mean(1)
            for pairs in (self._real(view), generated, self._unlabelled_fake(view))
        )
        return {
            "auc_heatmap": auc(true_B, generated_B),
            "auc_origin": auc(generated_B, other_B[view.unlabelled.valid_B]),
        }

    def complaint(self, metrics: Mapping[str, float]) -> str | None:
        """D wins, and the generator has no way to please it; or D sees no difference, and has nothing to teach."""
        loss = metrics.get("discriminator")
        if loss is None or _WINS <= loss <= _COLLAPSED:
            return None
        if loss < _WINS:
            return (
                f"the discriminator wins (its loss is {loss:.3f}): regularise it (r1, discriminator.spectral_norm, "
                "pair_augmentation), or lower unlabelled.optimizer.lr"
            )
        return (
            f"the discriminator tells nothing apart (its loss is {loss:.2f}, of 1.39 for a coin): raise unlabelled.optimizer.lr, "
            "or regularise it less"
        )


OBJECTIVE = Adversarial
