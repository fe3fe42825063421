"""The unlabelled objectives of a run: built from its config, shown its labelled faces, measured at its validations."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.methods.unlabelled.base import StepView, UnlabelledBatch, UnlabelledObjective
from pipeline.models.output import as_output
from pipeline.shards.device import DeviceBatch, to_device
from pipeline.shards.manifest import Manifest, manifest_url, parent
from pipeline.shards.poses import read_points
from pipeline.shards.selection import nested_subset
from pipeline.training.build import build_objectives
from pipeline.training.complaints import Complaints
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.parts import OptimizerConfig
from pipeline.training.engines import set_learning_rate
from pipeline.training.step import Teaching
from pipeline.training.validate import sequential_batches

FACES = 64  # of each kind: that objectives are measured on, and that are looked at first


def learn_from_labelled(
    objectives: Iterable[UnlabelledObjective], url: str, manifest: Manifest, count: int | None, seed: int
) -> None:
    """Show the labelled faces that a run trains on, and no others, to objectives that learn from them.

    Args:
        objectives: Of the run.
        url: Of the labelled set.
        manifest: Of the set.
        count: Faces the run uses of it, chosen by ``seed``; None is all.
        seed: Of the choice.
    """
    learners = [o for o in objectives if type(o).learn is not UnlabelledObjective.learn]
    if not learners:
        return
    chosen = nested_subset(manifest.samples, count, seed)
    points_NK2, five_N52 = (
        torch.from_numpy(of_all[chosen]) for of_all in read_points(manifest, parent(manifest_url(url)))
    )
    for objective in learners:
        objective.learn(five_N52, points_NK2)


class Objectives:
    """The objectives of one rank: what the loop does with them beside the step.

    Args:
        config: Of the run.
        markup: Of its landmarks.
        train: Manifest of its labelled set.
        method: Reads the generator.
        device: Where the networks are.
        build_engine: Network and optimizer to an engine, for the objectives' own networks.

    Attributes:
        teachings: For the step.
        discriminators: Engines of the objectives' own networks, by objective.
        needs_teacher: Whether one of them asks for the averaged generator.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        markup: Markup,
        train: Manifest,
        method: Method,
        device: torch.device,
        build_engine: Callable[[nn.Module, OptimizerConfig], Any],
    ) -> None:
        self._config, self._method, self._device = config, method, device
        objectives = build_objectives(config, markup)
        data = config.data
        learn_from_labelled(objectives.values(), data.train, train, data.labelled_count, data.subset_seed)
        self.discriminators = {
            name: build_engine(objective.discriminator.to(device), config.unlabelled.optimizer)
            for name, objective in objectives.items()
            if objective.discriminator is not None
        }
        self.teachings = [
            Teaching(part.name, objectives[part.name], part.weight, self.discriminators.get(part.name))
            for part in config.unlabelled.active
        ]
        self.needs_teacher = any(objective.needs_teacher for objective in objectives.values())
        self._complaints = Complaints(self.teachings)
        self._recent: deque[DeviceBatch] = deque()
        self._checked = False

    def set_learning_rate(self, multiplier: float) -> None:
        """Of the next step of all discriminators, as a share of the config's."""
        for discriminator in self.discriminators.values():
            set_learning_rate(discriminator, self._config.unlabelled.optimizer.lr * multiplier)

    def see(self, unlabelled: DeviceBatch) -> None:
        """Keep the last unlabelled faces; the first are checked.

        Raises:
            ConfigError: An objective cannot use them.
        """
        self._recent.append(unlabelled)
        while sum(len(batch.keys) for batch in self._recent) - len(self._recent[0].keys) >= FACES:
            self._recent.popleft()
        if not self._checked and sum(len(batch.keys) for batch in self._recent) >= FACES:
            self._checked = True
            for teaching in self.teachings:
                teaching.objective.check(self._plain())

    def _plain(self) -> UnlabelledBatch:
        """The last unlabelled faces, as prepared."""
        plain = [batch if batch.change is None else batch.change.before for batch in self._recent]
        images_B3HW = torch.cat([batch.images_B3HW for batch in plain])[-FACES:]
        five_B52 = torch.cat([batch.five_B52 for batch in plain if batch.five_B52 is not None])[-FACES:]
        return UnlabelledBatch.unchanged(images_B3HW, five_B52)

    def complaints(self, metrics: Mapping[str, float], step: int) -> list[str]:
        """What a user is to be told of a window of logged metrics."""
        return self._complaints.look(metrics, step)

    @torch.no_grad()
    def validate(self, generator: nn.Module) -> dict[str, float]:
        """``OBJECTIVE/METRIC`` → value, on the first held-out faces and the unlabelled ones that were trained on last.

        Args:
            generator: The one that is validated.
        """
        measured = [
            t for t in self.teachings if type(t.objective).validate is not UnlabelledObjective.validate
        ]
        if not measured or not self._recent or self._config.data.validation is None:
            return {}
        generator.eval()
        first = next(sequential_batches(self._config.data.validation, FACES))
        held_out, unlabelled = to_device(first, self._device, self._config.input_size), self._plain()
        view = StepView(
            labelled_B3HW=held_out.images_B3HW,
            target_BK2=held_out.points_BK2,
            mask_BK=held_out.mask_BK,
            labelled_output=as_output(generator(held_out.images_B3HW)),
            unlabelled=unlabelled,
            batch_output=as_output(generator(unlabelled.images_B3HW)),
            own_output=None,
            method=self._method,
        )
        return {
            f"{teaching.name}/{name}": value
            for teaching in measured
            for name, value in teaching.objective.validate(
                getattr(teaching.discriminator, "module", None), view
            ).items()
        }
