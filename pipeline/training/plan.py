"""The plan of a run, worked out from its config and manifests before any process starts: ``--dry-run`` prints it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from pipeline.errors import ConfigError, ManifestError
from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.shards.attributes import check_attributes
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.shards.order import Balance, Order, check_world_size, order_for
from pipeline.training.balance import balance_of, origin_shape
from pipeline.training.check import Networks, check_parts
from pipeline.training.config.experiment import ExperimentConfig, TrainingConfig
from pipeline.training.extra import extra_orders, open_extra
from pipeline.training.init import check_init
from pipeline.training.unlabelled_faces import UnlabelledFaces, open_unlabelled


@runtime_checkable
class StartsFromShape(Protocol):
    """A network that predicts displacements from a mean shape."""

    def set_mean(self, mean_K2: torch.Tensor, size: tuple[int, int]) -> None:
        """Set the shape: landmarks in px of an image of ``size``, (h, w)."""


@dataclass(frozen=True)
class Plan:
    """Derived quantities of a run.

    Attributes:
        train: Manifest of the labelled set.
        validation: Of the held-out set.
        extra: Of the labelled sets mixed in.
        unlabelled: The unlabelled faces, when an objective uses them.
        markup: Of the labelled set.
        labelled: Labelled faces used.
        balance: How often faces of each pose are seen; None sees every face once an epoch.
        epoch_faces: Labelled faces of an epoch, which balancing may make fewer or more than there are.
        steps: Optimizer steps.
        validate_steps: Steps between validations; likewise the next two.
        networks: What the check saw of the networks; None in a plan that was only derived.
    """

    config: ExperimentConfig
    train: Manifest
    validation: Manifest | None
    extra: tuple[Manifest, ...]
    unlabelled: UnlabelledFaces | None
    markup: Markup
    labelled: int
    balance: Balance | None
    epoch_faces: int
    steps: int
    validate_steps: int
    checkpoint_steps: int
    image_steps: int
    networks: Networks | None = None

    @property
    def steps_per_epoch(self) -> float:
        """Steps for one pass over the labelled faces used, balanced as they are."""
        return self.epoch_faces / self.config.train_batch

    @property
    def unlabelled_faces(self) -> int:
        """Unlabelled faces used."""
        return 0 if self.unlabelled is None else len(self.unlabelled.chosen)

    def due(self, step: int, interval: int) -> bool:
        """Whether something done every ``interval`` steps is due after ``step`` steps; always after the last."""
        return step % interval == 0 or step == self.steps


def make_plan(config: ExperimentConfig) -> Plan:
    """Derive a run's quantities and check its parts: what a driver does before it starts anything.

    Raises:
        ManifestError: A set is missing or of the wrong role.
        ConfigError: A combination or a part that cannot work.
    """
    return checked(derive(config))


def checked(plan: Plan) -> Plan:
    """The plan, once every part has been run; see :mod:`pipeline.training.check`.

    Raises:
        ConfigError: A part that cannot work.
    """
    config = plan.config
    check_attributes(config.data.focal_attributes, config.data.train, plan.train)
    if config.init is not None:
        check_init(config, plan.train)
    return replace(plan, networks=check_parts(config, plan.markup, plan.steps))


def derive(config: ExperimentConfig) -> Plan:
    """Read the manifests and derive the run's quantities: cheap, and the same in the driver and in every worker.

    Raises:
        ManifestError: A set is missing or of the wrong role.
        ConfigError: A combination that cannot work.
    """
    data, training = config.data, config.training
    train = _load(data.train, "data.train", "labelled")
    validation = _load(data.validation, "data.validation", "labelled") if data.validation else None
    unlabelled = None
    if config.unlabelled.active and data.unlabelled:
        unlabelled = open_unlabelled(data, train)
    sets = (("data.train", train), ("data.validation", validation))
    for name, manifest in sets:
        if manifest is not None and manifest.split == "test":
            raise ConfigError(
                f"{name} is the test set '{manifest.name}': never train or select on a test split"
            )
    if validation is not None and validation.shards == train.shards:
        raise ConfigError(
            "data.train and data.validation are the same set: hold a part out (prepare.sets[].validation)"
        )
    for name, manifest in sets[1:]:
        if manifest is None:
            continue
        if manifest.crop.side_factor != train.crop.side_factor:
            raise ConfigError(
                f"{name} was cropped with side_factor {manifest.crop.side_factor}, data.train with {train.crop.side_factor}: "
                "prepare them alike"
            )
        if manifest.markup != train.markup:
            raise ConfigError(f"{name} has markup '{manifest.markup}', data.train '{train.markup}'")
        if manifest.markup_definition != train.markup_definition:
            raise ConfigError(
                f"{name} has another '{manifest.markup}' than data.train: its YAML was changed; prepare both again"
            )
    markup = train.layout
    for name, manifest in (("data.train", train), ("data.validation", validation)):
        if manifest is not None and manifest.num_landmarks != markup.num_landmarks:
            raise ManifestError(
                f"{name} holds {manifest.num_landmarks} landmarks, its markup '{markup.name}' has "
                f"{markup.num_landmarks}: prepare the set again"
            )
    extra = open_extra(data, train, validation)
    workers = config.cluster.workers
    check_world_size(workers, data.streams, training.batch)
    labelled = _count(data.labelled_count, train, "data.labelled_count")
    balance = balance_of(data.balance, data.train, train, data.labelled_count, data.subset_seed)
    epoch_faces = labelled if balance is None else balance.share * len(balance.members)
    per_epoch = epoch_faces / config.train_batch
    steps = planned_steps(training, per_epoch)

    def every(interval: float) -> int:
        return max(round(interval * (per_epoch if training.cadence == "epochs" else 1)), 1)

    return Plan(
        config=config,
        train=train,
        validation=validation,
        extra=extra,
        unlabelled=unlabelled,
        markup=markup,
        labelled=labelled,
        balance=balance,
        epoch_faces=epoch_faces,
        steps=steps,
        validate_steps=every(training.validate_every),
        checkpoint_steps=every(training.checkpoint_every),
        image_steps=every(training.image_every),
    )


def planned_steps(training: TrainingConfig, per_epoch: float) -> int:
    """Optimizer steps of a run.

    Args:
        training: Its length, in steps or in epochs.
        per_epoch: Steps of an epoch.
    """
    return training.steps or max(round((training.epochs or 0) * per_epoch), 1)


def _load(url: str, field: str, role: str) -> Manifest:
    manifest = load_manifest(url)
    if manifest.role != role:
        raise ManifestError(f"{field} = {url}: is a {manifest.role} set, a {role} one is needed")
    return manifest


def _count(count: int | None, manifest: Manifest, field: str) -> int:
    if count is not None and count > manifest.samples:
        raise ConfigError(f"{field} = {count}: the set '{manifest.name}' holds {manifest.samples}")
    return count or manifest.samples


@dataclass(frozen=True, eq=False)
class Orders:
    """The orders of a run's streams. Their seeds differ: no two are ever in lock-step."""

    train: Order
    extra: tuple[Order, ...]
    unlabelled: Order | None


def orders(plan: Plan) -> Orders:
    """Which sample each stream gives next, from its position on."""
    data, seed = plan.config.data, plan.config.seed
    train = order_for(
        plan.train.shards.samples_S.tolist(),
        streams=data.streams,
        seed=2 * seed,
        buffer=data.shuffle_buffer,
        count=data.labelled_count,
        subset_seed=data.subset_seed,
        balance=plan.balance,
    )
    unlabelled = None if plan.unlabelled is None else plan.unlabelled.order(data, 2 * seed + 1)
    return Orders(train, extra_orders(data, plan.extra, seed), unlabelled)


def set_origin(generator: nn.Module, method: Method, plan: Plan) -> None:
    """Give a regressor the shape that its displacements start from; other networks have none.

    Raises:
        ConfigError: The training faces do not have one.
    """
    if method.origin == "centre" or not isinstance(generator, StartsFromShape):
        return
    data, size = plan.config.data, plan.train.crop.size
    bins = data.balance.bins
    shape = origin_shape(method.origin, bins, data.train, plan.train, data.labelled_count, data.subset_seed)
    generator.set_mean(torch.from_numpy(shape).float(), (size, size))
