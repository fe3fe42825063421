"""What a run will do, worked out from its config and manifests before any process starts: ``--dry-run`` prints it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from pipeline.errors import ConfigError, ManifestError
from pipeline.markup import Markup
from pipeline.registry import Part, build
from pipeline.shards.manifest import Manifest, load_manifest
from pipeline.shards.order import Order, check_world, order_for
from pipeline.training.config import ExperimentConfig


@dataclass(frozen=True)
class Plan:
    """Derived quantities of a run.

    Attributes:
        train: Manifest of the labelled set.
        validation: Of the held-out set.
        unlabelled: Of the unlabelled set, when an objective uses it.
        markup: Of the labelled set.
        labelled: Labelled faces used.
        unlabelled_faces: Unlabelled faces used.
        steps: Optimizer steps.
        validate_steps: Steps between validations; likewise the next two.
    """

    config: ExperimentConfig
    train: Manifest
    validation: Manifest | None
    unlabelled: Manifest | None
    markup: Markup
    labelled: int
    unlabelled_faces: int
    steps: int
    validate_steps: int
    checkpoint_steps: int
    picture_steps: int

    @property
    def steps_per_epoch(self) -> float:
        """Steps for one pass over the labelled faces used."""
        return self.labelled / self.config.training.batch

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
    if config.unlabelled.objective is not None and data.unlabelled:
        unlabelled = _load(data.unlabelled, "data.unlabelled", "unlabelled")
    sets = (("data.train", train), ("data.validation", validation), ("data.unlabelled", unlabelled))
    for name, manifest in sets:
        if manifest is not None and manifest.split == "test":
            raise ConfigError(
                f"{name} is the test set '{manifest.name}': never train or select on a test split"
            )
    if validation is not None and validation.shards == train.shards:
        raise ConfigError(
            "data.train and data.validation are the same set: hold a part out (prepare.sets[].validation)"
        )
    for name, manifest in (("data.validation", validation), ("data.unlabelled", unlabelled)):
        if manifest is None:
            continue
        if manifest.crop.side_factor != train.crop.side_factor:
            raise ConfigError(
                f"{name} was cropped with side_factor {manifest.crop.side_factor}, data.train with {train.crop.side_factor}: "
                "prepare them alike"
            )
        if manifest.role == "labelled" and manifest.markup != train.markup:
            raise ConfigError(f"{name} has markup '{manifest.markup}', data.train '{train.markup}'")
        if manifest.markup_definition != train.markup_definition and manifest.role == "labelled":
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
    _try_parts(config, markup.num_landmarks)
    workers = config.cluster.workers
    check_world(workers, data.streams, training.batch)
    labelled = _count(data.labelled_count, train, "data.labelled_count")
    per_epoch = labelled / training.batch
    steps = training.steps or max(round((training.epochs or 0) * per_epoch), 1)

    def every(epochs: float) -> int:
        return max(round(epochs * per_epoch), 1)

    return Plan(
        config=config,
        train=train,
        validation=validation,
        unlabelled=unlabelled,
        markup=markup,
        labelled=labelled,
        unlabelled_faces=_count(data.unlabelled_count, unlabelled, "data.unlabelled_count")
        if unlabelled
        else 0,
        steps=steps,
        validate_steps=every(training.validate_every),
        checkpoint_steps=every(training.checkpoint_every),
        picture_steps=every(training.picture_every),
    )


def _try_parts(config: ExperimentConfig, num_landmarks: int) -> None:
    """Construct every part once without memory: values that a constructor refuses fail here, not in a worker."""
    with torch.device("meta"):
        build_generator(config, num_landmarks)
        build("loss", config.loss)
        if config.unlabelled.objective is not None:
            build(
                "objective",
                config.unlabelled.objective,
                num_landmarks=num_landmarks,
                image_size=config.input_size,
            )


def _load(url: str, field: str, role: str) -> Manifest:
    manifest = load_manifest(url)
    if manifest.role != role:
        raise ManifestError(f"{field} = {url}: is a {manifest.role} set, a {role} one is needed")
    return manifest


def _count(count: int | None, manifest: Manifest, field: str) -> int:
    if count is not None and count > manifest.samples:
        raise ConfigError(f"{field} = {count}: the set '{manifest.name}' holds {manifest.samples}")
    return count or manifest.samples


def orders(plan: Plan) -> tuple[Order, Order | None]:
    """The orders of the labelled and the unlabelled stream. Their seeds differ: the two are never in lock-step."""
    data, seed = plan.config.data, plan.config.seed

    def order(manifest: Manifest, count: int | None, of_seed: int) -> Order:
        return order_for(
            [s.samples for s in manifest.shards],
            streams=data.streams,
            seed=of_seed,
            buffer=data.shuffle_buffer,
            count=count,
            subset_seed=data.subset_seed,
        )

    labelled = order(plan.train, data.labelled_count, 2 * seed)
    if plan.unlabelled is None:
        return labelled, None
    return labelled, order(plan.unlabelled, data.unlabelled_count, 2 * seed + 1)


def build_generator(config: ExperimentConfig, num_landmarks: int) -> nn.Module:
    """The heatmap network a config names."""
    generator: nn.Module = build("model", config.model, num_landmarks=num_landmarks)
    return generator


def count_parameters(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def activation_bytes(part: Part, num_landmarks: int, input_size: int) -> int:
    """What autograd keeps for one picture's backward pass through a generator; nothing is computed (meta tensors)."""
    with torch.device("meta"):
        module = build("model", part, num_landmarks=num_landmarks)
        image = torch.empty(1, 3, input_size, input_size)
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
        keep_alive.append(tensor)  # an id may only be reused once its tensor is gone
        return tensor

    keep_alive: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        module(image).flatten(2).softmax(-1)
    weights = {id(p.untyped_storage()) for p in module.parameters()}
    return sum(size for storage, size in kept.items() if storage not in weights)
