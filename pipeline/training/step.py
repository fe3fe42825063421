"""One optimizer step: the supervised loss, and the unlabelled objectives, each with its own network's update before its turn.

Source: Robinson et al., "Laplace Landmark Localization", ICCV 2019, algorithm 1, for any number of objectives.

One forward of the generator over all images; its output is cut off, so that every loss goes backward to the output and no
further; there the gradients are weighed and added up (:mod:`pipeline.training.balance_gradients`), and ONE backward takes them
through the generator. A discriminator's loss on real and detached fake pairs is likewise summed and taken back at once: two
backwards before a step silently keep the last under ZeRO ≥ 1. The generator's term goes through a discriminator's bare
``module``, and asks for the gradient at the output alone: nothing of it collects in the discriminator. A two-rank test compares
the result with plain torch. A network that is given its images in micro-batches (:mod:`pipeline.training.micro_batches`) changes
nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.methods.base import Method
from pipeline.methods.unlabelled.base import Draws, StepView, UnlabelledBatch, UnlabelledObjective
from pipeline.methods.unlabelled.weights import Weight
from pipeline.models.output import Output, as_output
from pipeline.shards.device import DeviceBatch
from pipeline.training.balance_gradients import balance, cut, tensors
from pipeline.training.focal import focal_factor, weigh
from pipeline.training.micro_batches import MicroBatches
from pipeline.training.shrink import shrunk_targets


@dataclass(frozen=True)
class Teaching:
    """An unlabelled objective at work.

    Attributes:
        name: Of its metrics.
        objective: The objective.
        weight: How strongly it acts.
        discriminator: Engine of its own network, if it has one.
    """

    name: str
    objective: UnlabelledObjective
    weight: Weight
    discriminator: Any | None = None


@dataclass
class Stepper:
    """The networks of a run and how one step changes them.

    Attributes:
        generator: Engine of the network that finds landmarks.
        method: Supervised loss on its outputs.
        teachings: Unlabelled objectives.
        autocast: Autocast for calls that bypass an engine (a discriminator's bare module, the teacher); None in fp32.
        teacher: The averaged generator, for objectives that ask for it.
        draws: Seed, rank and number of ranks.
        micro_batches: That a rank's images go through a network in; 1 takes them all at once.
    """

    generator: Any
    method: Method
    teachings: Sequence[Teaching] = ()
    autocast: tuple[str, torch.dtype] | None = None
    teacher: nn.Module | None = None
    draws: Draws = field(default_factory=Draws)
    micro_batches: int = 1

    def __call__(
        self, labelled: DeviceBatch, unlabelled: DeviceBatch | None, step: int = 0
    ) -> dict[str, Tensor]:
        """Take one step on all networks.

        Args:
            labelled: This rank's labelled images.
            unlabelled: This rank's unlabelled images; None trains on labelled ones alone.
            step: Optimizer steps done before.

        Returns:
            Detached scalars: ``loss`` (the generator's total), ``supervised``, what the objectives report, and of each its
            ``weight/NAME`` (the factor on its term) and ``share/NAME`` (its gradient's norm over the supervised one's).
        """
        if unlabelled is None or not self.teachings:
            return self._supervised(labelled)
        batch = unlabelled_batch(unlabelled, replace(self.draws, step=step))
        own = [teaching.objective.images(batch) for teaching in self.teachings]
        reads_batch = any(teaching.objective.reads_batch for teaching in self.teachings)
        # One forward over everything: fewer, larger operations, and one set of gradient hooks.
        wanted = [labelled.images_B3HW, batch.images_B3HW if reads_batch else None, *(i for i, _ in own)]
        parts = [part for part in wanted if part is not None]
        outputs = as_output(self._in_parts(self.generator)(torch.cat(parts))).split(
            [len(part) for part in parts]
        )
        leaves = [cut(output) for output in outputs]
        each = iter(leaves)
        first, second, *others = (None if part is None else next(each) for part in wanted)
        assert first is not None  # labelled images are always there
        supervised, metrics = self._learn(first, labelled)
        view = StepView(
            labelled_B3HW=labelled.images_B3HW,
            target_BK2=labelled.points_BK2,
            mask_BK=labelled.mask_BK,
            labelled_output=first,
            unlabelled=batch,
            batch_output=second,
            own_output=None,
            method=self.method,
            teacher=self._ask_teacher if self.teacher is not None else None,
        )
        terms = {}
        for teaching, own_output, (_, context) in zip(self.teachings, others, own, strict=True):
            term, told = self._teach(teaching, replace(view, own_output=own_output, context=context))
            terms[teaching.name] = (term, teaching.weight)
            metrics |= told
        balanced = balance(supervised, terms, tensors(leaves), step, self.draws.world_size)
        self.generator.backward(balanced.surrogate(tensors(outputs)))
        self.generator.step()
        total = supervised.detach()
        for name, (term, _) in terms.items():
            total = total + balanced.factors[name] * term.detach()
            metrics |= {f"weight/{name}": balanced.factors[name], f"share/{name}": balanced.shares[name]}
        return {"loss": total, "supervised": supervised.detach()} | metrics

    def _teach(self, teaching: Teaching, view: StepView) -> tuple[Tensor, dict[str, Tensor]]:
        """An objective's term, after the update of its own network, if it has one."""
        objective, engine = teaching.objective, teaching.discriminator
        if engine is None:
            return objective.generator_loss(None, view)
        loss, metrics = objective.discriminator_loss(self._in_parts(engine), view)
        engine.backward(loss)
        engine.step()
        term, told = objective.generator_loss(self._in_parts(engine, bare=True), view)
        return term, metrics | told

    def _supervised(self, labelled: DeviceBatch) -> dict[str, Tensor]:
        output = as_output(self._in_parts(self.generator)(labelled.images_B3HW))
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

    def _in_parts(self, engine: Any, bare: bool = False) -> Any:
        """An engine, or its bare module in the run's precision, to be called with all images at once."""
        module = self._bare(engine)
        call = module if bare else engine
        if self.micro_batches == 1:
            return call
        return MicroBatches(call, module, engine.module, self.micro_batches)

    def _bare(self, engine: Any) -> Callable[[Tensor], Any]:
        def network(images_BCHW: Tensor) -> Any:
            with self._precision():
                return engine.module(images_BCHW)

        return network


def unlabelled_batch(faces: DeviceBatch, draws: Draws) -> UnlabelledBatch:
    """Unlabelled faces as objectives see them: before and after augmentation."""
    before = faces if faces.change is None else faces.change.before
    plain = UnlabelledBatch.unchanged(before.images_B3HW, before.five_B52)
    if faces.change is None:
        return replace(plain, valid_B=faces.valid_B, draws=draws)
    return replace(
        plain,
        images_B3HW=faces.images_B3HW,
        affine_B23=faces.change.affine_B23,
        flip_B=faces.change.flip_B,
        valid_B=faces.valid_B,
        draws=draws,
    )
