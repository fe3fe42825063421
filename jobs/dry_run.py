"""``landmarks train --dry-run``: everything a run will do, before any process starts."""

from __future__ import annotations

from contextlib import suppress

import torch
from rich.console import Console

from jobs.tables import facts
from pipeline.datasets.open import check_reader
from pipeline.errors import ConfigError
from pipeline.markup import Markup
from pipeline.models.cost import Cost, cost
from pipeline.models.weights import without_pretrained
from pipeline.training.build import build_generator
from pipeline.training.config.compose import to_yaml
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.config.unlabelled import ObjectiveConfig
from pipeline.training.identity import WHERE, known_by, sets_of
from pipeline.training.init import identified
from pipeline.training.plan import Plan, make_plan
from pipeline.training.run import run_folder_of, with_absolute_paths
from pipeline.words import counted

_ADAM_BYTES_PER_PARAMETER = 16  # weight, gradient, two moments, fp32
# A network that cannot have more than these MACs is run; a larger one on the meta device, which costs a second for any size.
_REAL_MACS = 20e9


def _balance(plan: Plan) -> str:
    if plan.balance is None:
        return "none: every labelled face once an epoch"
    sizes = ", ".join(str(len(members)) for members in plan.balance.members)
    return f"{plan.balance.kind}: {plan.balance.share} of each pose bin an epoch; bins of {sizes} faces"


def _objective(part: ObjectiveConfig) -> str:
    weight = part.weight
    strength = (
        f"λ = {weight.fixed:g}" if weight.share is None else f"{weight.share:.0%} of the supervised gradient"
    )
    return f"{part.name}: {strength}" + (
        f", from 0 over {weight.ramp_steps} steps" if weight.ramp_steps else ""
    )


def _generator_cost(config: ExperimentConfig, markup: Markup, parameters: int) -> Cost:
    with without_pretrained():
        if parameters * config.input_size**2 > _REAL_MACS:
            # A network that looks at its values finds none there, and is built for real.
            with suppress(NotImplementedError, RuntimeError):
                with torch.device("meta"):
                    generator = build_generator(config, markup)
                return cost(generator, config.input_size)
        return cost(build_generator(config, markup), config.input_size)


def _check_readers(config: ExperimentConfig) -> None:
    """The sets may be prepared already, elsewhere: only whoever asks what will be done is told of readers that cannot be."""
    for entry in config.prepare.sets if config.prepare is not None else ():
        try:
            check_reader(entry.reader)
        except ConfigError as error:
            raise ConfigError(f"prepare.sets, '{entry.name}': {error}") from error


def describe(config: ExperimentConfig) -> None:
    """Print the resolved config and the quantities derived from it.

    Raises:
        LandmarkError: What would stop the run itself.
    """
    _check_readers(config)
    # As the run itself: relative paths start where LANDMARKS_ROOT says.
    config = with_absolute_paths(config)
    plan = make_plan(config)
    assert plan.networks is not None  # make_plan checked them
    console = Console()
    console.print(to_yaml(config), highlight=False, markup=False, soft_wrap=True)
    costs = _generator_cost(config, plan.markup, plan.networks.generator)
    generator, discriminator = plan.networks.generator, plan.networks.discriminator
    workers = config.cluster.workers
    images = (config.training.batch + config.unlabelled_batch * plan.networks.views) // workers
    parts = config.training.accumulate
    activations = costs.activation_bytes * -(-images // parts)
    weights = (generator + discriminator) * _ADAM_BYTES_PER_PARAMETER
    epochs = plan.steps / plan.steps_per_epoch
    rows = {
        "run": f"{run_folder_of(config)} · config {config_hash(known_by(identified(config), sets_of(config)), WHERE)}",
        "generator": f"{generator:,} parameters ({config.model.name}), {costs.macs / 1e9:,.2f} GMACs an image",
        "method": f"{config.method.name}: loss {config.loss.name}"
        + (f", decoder {config.decoder.name}" if config.decoder else ""),
        "unlabelled objectives": ", ".join(map(_objective, config.unlabelled.active)) or "none",
        "objectives' networks": f"{discriminator:,} parameters" if discriminator else "none",
        "balance": _balance(plan),
        "focal attributes": ", ".join(config.data.focal_attributes) or "none: all faces weigh the same",
        "labelled faces": f"{plan.labelled:,} of {plan.train.samples:,}, {plan.markup.name}, stored {plan.train.crop.size} px",
        "mixed in": ", ".join(
            f"{batch} a step of {extra.set}"
            for batch, extra in zip(config.extra_batches, config.data.extra, strict=True)
        )
        or "none",
        "unlabelled faces": f"{plan.unlabelled_faces:,}" if plan.unlabelled else "not used",
        "validation faces": f"{plan.validation.samples:,}" if plan.validation else "none",
        "steps": f"{plan.steps:,} = {epochs:.1f} epochs of {plan.steps_per_epoch:.1f} steps",
        "images a step": f"{config.training.batch} labelled + {config.unlabelled_batch} unlabelled, "
        f"{images} on each of {counted(workers, 'worker')}"
        + (f", in {parts} micro-batches" if parts > 1 else ""),
        "images in all": f"{plan.steps * (config.training.batch + config.unlabelled_batch):,}",
        "validation, checkpoint": f"every {plan.validate_steps:,} and {plan.checkpoint_steps:,} steps",
        "memory a worker": f"about {(activations + weights) / 2**20:,.0f} MiB "
        f"(generator's activations {activations / 2**20:,.0f}"
        f"{' of a micro-batch, to which the outputs on all images come' if parts > 1 else ''}, "
        f"weights and optimizer {weights / 2**20:,.0f}), beside some 1,000 of libraries",
    }
    console.print(facts(rows))
