"""One optimizer step: the supervised loss, and the alternating update of an unlabelled objective.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, algorithm 1.

The order of calls is the one that is right at every ZeRO stage: discriminator trainable → its loss on real and detached fake
pairs, summed, ONE backward → step → freeze → the generator's loss through the discriminator's bare ``module`` → backward → step.
Two backwards before a step silently keep the last under ZeRO ≥ 1, and an unfrozen discriminator silently collects the
generator's gradients; a two-rank test compares the result with plain torch.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.methods.base import Method
from pipeline.methods.unlabelled.base import StepView, UnlabelledObjective
from pipeline.models.output import Output, as_output
from pipeline.training.batches import DeviceBatch
from pipeline.training.focal import focal_factor, weigh
from pipeline.training.shrink import shrunk_targets


@dataclass
class Stepper:
    """The networks of a run and how one step changes them.

    Attributes:
        generator: Engine of the network that finds landmarks.
        method: Supervised loss on its outputs.
        discriminator: Engine of the objective's own network, if it has one.
        objective: Unlabelled objective, if any.
        weight: λ.
        autocast: Autocast for calls that bypass an engine (the discriminator's bare module, the teacher); None in fp32.
        teacher: The averaged generator, for objectives that ask for it.
    """

    generator: Any
    method: Method
    discriminator: Any | None = None
    objective: UnlabelledObjective | None = None
    weight: float = 0.0
    autocast: tuple[str, torch.dtype] | None = None
    teacher: nn.Module | None = None

    def __call__(self, labelled: DeviceBatch, unlabelled: DeviceBatch | None) -> dict[str, Tensor]:
        """Take one step on both networks.

        Args:
            labelled: This rank's labelled images.
            unlabelled: This rank's unlabelled images; None trains on labelled ones alone.

        Returns:
            Detached scalars: ``loss`` (the generator's total), ``supervised``, and what the objective reports.
        """
        if unlabelled is None or self.objective is None:
            return self._supervised(labelled)
        images_N3HW, context = self.objective.images(unlabelled.images_B3HW)
        # One forward over both halves: fewer, larger operations, and one set of gradient hooks.
        output = as_output(self.generator(torch.cat([labelled.images_B3HW, images_N3HW])))
        first, second = output.split([len(labelled.images_B3HW), len(images_N3HW)])
        supervised, method_metrics = self._learn(first, labelled)
        view = StepView(
            labelled_B3HW=labelled.images_B3HW,
            target_BK2=labelled.points_BK2,
            mask_BK=labelled.mask_BK,
            unlabelled_B3HW=unlabelled.images_B3HW,
            output=second,
            valid_B=unlabelled.valid_B,
            method=self.method,
            context=context,
            teacher=self._ask_teacher if self.teacher is not None else None,
        )
        metrics: dict[str, Tensor] = {}
        discriminator_call = None
        if self.discriminator is not None:
            discriminator_total, discriminator_metrics = self.objective.discriminator_loss(
                self.discriminator, view
            )
            self.discriminator.backward(discriminator_total)
            self.discriminator.step()
            metrics |= discriminator_metrics
            self.discriminator.module.requires_grad_(False)
            discriminator_call = self._bare_discriminator
        term, term_metrics = self.objective.generator_loss(discriminator_call, view)
        total = supervised + self.weight * term
        self.generator.backward(total)
        self.generator.step()
        if self.discriminator is not None:
            self.discriminator.module.requires_grad_(True)
        return (
            {"loss": total.detach(), "supervised": supervised.detach()}
            | method_metrics
            | metrics
            | term_metrics
        )

    def _supervised(self, labelled: DeviceBatch) -> dict[str, Tensor]:
        output = as_output(self.generator(labelled.images_B3HW))
        loss, metrics = self._learn(output, labelled)
        self.generator.backward(loss)
        self.generator.step()
        return {"loss": loss.detach(), "supervised": loss.detach()} | metrics

    def _learn(self, output: Output, labelled: DeviceBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The supervised loss; faces with rare attributes weigh more where the batch knows of attributes."""
        mask_BK, target_BK2 = labelled.mask_BK, labelled.points_BK2
        if labelled.radius_B is not None:
            target_BK2 = shrunk_targets(self.method.points(output), target_BK2, labelled.radius_B)
        if labelled.labels_BC is None:
            return self.method.supervised(output, target_BK2, mask_BK)
        weights_BK = mask_BK * focal_factor(labelled.labels_BC, labelled.valid_B)[:, None]
        loss, metrics = self.method.supervised(output, target_BK2, weights_BK)
        return weigh(loss, mask_BK, weights_BK), metrics

    @torch.no_grad()
    def _ask_teacher(self, images_B3HW: Tensor) -> Output:
        assert self.teacher is not None  # only handed out when there is one
        with self._precision():
            return as_output(self.teacher(images_B3HW))

    def _precision(self) -> AbstractContextManager[Any]:
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(self.autocast[0], dtype=self.autocast[1])

    def _bare_discriminator(self, pairs_BCHW: Tensor) -> Tensor:
        assert self.discriminator is not None  # only handed out when there is one
        with self._precision():
            discriminator: Tensor = self.discriminator.module(pairs_BCHW)
        return discriminator
