"""The plan of a run, worked out from its config and manifests before any process starts: ``--dry-run`` prints it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from pipeline.augment.compose import Augmentation
from pipeline.errors import ConfigError, ManifestError
from pipeline.markup import Markup
from pipeline.methods.base import Method
from pipeline.methods.build import make_generator, make_method
from pipeline.models.output import as_output, traits
from pipeline.registry import Part, build
from pipeline.shards.attributes import check_attributes
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.shards.order import Balance, Order, check_world_size, order_for
from pipeline.training.balance import balance_of, origin_shape
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.extra import extra_orders, open_extra
from pipeline.training.init import check_init
from pipeline.training.objectives import build_objectives
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

    @property
    def steps_per_epoch(self) -> float:
        """Steps for one pass over the labelled faces used, balanced as they are."""
        return self.epoch_faces / self.config.train_batch

    @property
    def unlabelled_faces(self) -> int:
        """Unlabelled faces used."""
        return 0 if self.unlabelled is None else len(self.unlabelled.ordinals_N)

    def due(self, step: int, interval: int) -> bool:
        """Whether something done every ``interval`` steps is due after ``step`` steps; always after the last."""
        return step % interval == 0 or step == self.steps


def make_plan(config: ExperimentConfig) -> Plan:
    """Read the manifests and derive the run's quantities.

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
    check_attributes(data.focal_attributes, data.train, train)
    extra = open_extra(data, train, validation)
    _try_parts(config, markup)
    if config.init is not None:
        check_init(config, train)
    workers = config.cluster.workers
    check_world_size(workers, data.streams, training.batch)
    labelled = _count(data.labelled_count, train, "data.labelled_count")
    balance = balance_of(data.balance, data.train, train, data.labelled_count, data.subset_seed)
    epoch_faces = labelled if balance is None else balance.share * len(balance.members)
    per_epoch = epoch_faces / config.train_batch
    steps = training.steps or max(round((training.epochs or 0) * per_epoch), 1)

    def every(epochs: float) -> int:
        return max(round(epochs * per_epoch), 1)

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


def _try_parts(config: ExperimentConfig, markup: Markup) -> None:
    """Run every part once without memory: what they refuse, of values or of each other, fails here, not in a worker."""
    side = config.input_size
    with torch.device("meta"):
        generator = build_generator(config, markup)
        build_objectives(config, markup)
        multiple = traits(generator).input_multiple
        if side % multiple:
            raise ConfigError(
                f"input_size = {side}: model '{config.model.name}' with these parameters needs a multiple of {multiple}"
            )
        with torch.no_grad():
            output = as_output(generator.eval()(torch.empty(1, 3, side, side)))
    build_method(config, markup, generator).check(output)
    build_augmentation(config, markup)


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
        [s.samples for s in plan.train.shards],
        streams=data.streams,
        seed=2 * seed,
        buffer=data.shuffle_buffer,
        count=data.labelled_count,
        subset_seed=data.subset_seed,
        balance=plan.balance,
    )
    unlabelled = None if plan.unlabelled is None else plan.unlabelled.order(data, 2 * seed + 1)
    return Orders(train, extra_orders(data, plan.extra, seed), unlabelled)


def build_generator(config: ExperimentConfig, markup: Markup) -> nn.Module:
    """The network a config names."""
    return make_generator(config.model, markup, config.input_size)


def build_method(config: ExperimentConfig, markup: Markup, generator: nn.Module) -> Method:
    """The supervised loss and its way of reading the network, ``generator``, that it is for."""
    return make_method(config.method, config.loss, config.decoder, markup, config.input_size, generator)


def build_augmentation(config: ExperimentConfig, markup: Markup) -> Augmentation | None:
    """The augmentation a config names, if any."""
    if config.augmentation is None:
        return None
    made: Augmentation = build("augmentation", config.augmentation, markup=markup)
    return made


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


def count_parameters(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def activation_bytes(model: Part, markup: Markup, input_size: int) -> int:
    """What autograd keeps for one image's backward pass through a generator; nothing is computed (meta tensors)."""
    with torch.device("meta"):
        module = make_generator(model, markup, input_size)
        # Two, and half of what they keep: batch norm refuses a single value per channel.
        images = torch.empty(2, 3, input_size, input_size)
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
        keep_alive.append(tensor)  # an id may only be reused once its tensor is gone
        return tensor

    keep_alive: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        for stage in as_output(module(images)).stages:
            if stage.heatmaps is not None:
                stage.heatmaps.flatten(2).softmax(-1)
    weights = {id(p.untyped_storage()) for p in module.parameters()}
    return sum(size for storage, size in kept.items() if storage not in weights) // 2
