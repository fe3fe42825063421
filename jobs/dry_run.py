"""``landmarks train --dry-run``: everything a run will do, before any process starts."""

from __future__ import annotations

import torch
from rich.console import Console
from rich.table import Table

from jobs.train import WHERE, run_folder_of
from pipeline.config.compose import config_hash, to_yaml
from pipeline.models.cost import cost
from pipeline.registry import build
from pipeline.training.config import ExperimentConfig
from pipeline.training.plan import activation_bytes, build_generator, count_parameters, make_plan

_ADAM_BYTES_PER_PARAMETER = 16  # weight, gradient, two moments, fp32


def describe(config: ExperimentConfig) -> None:
    """Print the resolved config and the quantities derived from it.

    Raises:
        LandmarkError: What would stop the run itself.
    """
    plan = make_plan(config)
    console = Console()
    console.print(to_yaml(config), highlight=False, markup=False)
    landmarks = plan.train.num_landmarks
    with torch.device("meta"):
        figures = cost(build_generator(config, landmarks), config.input_size)
    generator = figures.parameters
    critic = 0
    if config.unlabelled.objective is not None:
        objective = build(
            "objective", config.unlabelled.objective, num_landmarks=landmarks, image_size=config.input_size
        )
        critic = count_parameters(objective.critic) if objective.critic is not None else 0
    workers = config.cluster.workers
    pictures = (config.training.batch + config.unlabelled_batch) // workers
    activations = activation_bytes(config.model, landmarks, config.input_size) * pictures
    weights = (generator + critic) * _ADAM_BYTES_PER_PARAMETER
    epochs = plan.steps / plan.steps_per_epoch
    rows = {
        "run": f"{run_folder_of(config)} · config {config_hash(config, WHERE)}",
        "generator": f"{generator:,} parameters ({config.model.name}), {figures.macs / 1e9:,.2f} GMACs a picture",
        "objective's network": f"{critic:,} parameters" if critic else "none",
        "labelled faces": f"{plan.labelled:,} of {plan.train.samples:,}, {plan.markup.name}, stored {plan.train.crop.size} px",
        "unlabelled faces": f"{plan.unlabelled_faces:,}" if plan.unlabelled else "not used",
        "validation faces": f"{plan.validation.samples:,}" if plan.validation else "none",
        "steps": f"{plan.steps:,} = {epochs:.1f} epochs of {plan.steps_per_epoch:.1f} steps",
        "pictures a step": f"{config.training.batch} labelled + {config.unlabelled_batch} unlabelled, "
        f"{pictures} on each of {workers} worker(s)",
        "pictures in all": f"{plan.steps * (config.training.batch + config.unlabelled_batch):,}",
        "validation, checkpoint": f"every {plan.validate_steps:,} and {plan.checkpoint_steps:,} steps",
        "memory a worker": f"about {(activations + weights) / 2**20:,.0f} MiB "
        f"(generator's activations {activations / 2**20:,.0f}, "
        f"weights and optimizer {weights / 2**20:,.0f}), beside some 1,000 of libraries",
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(f"[bold]{name}", value)
    console.print(table)
