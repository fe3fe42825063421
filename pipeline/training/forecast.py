"""What a run will cost, from what a short run of it has cost: hours, reads and storage."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.shards.joined import JoinedSet
from pipeline.shards.manifest import Manifest
from pipeline.training.plan import Plan


@dataclass(frozen=True)
class Measured:
    """What a short run of one worker took.

    Attributes:
        step: Seconds of a step, waiting for data included.
        validation: Seconds of a validation of the whole held-out set, by one worker; likewise the next two.
        around: Seconds before the first step and after the last.
        memory_mib: Largest resident memory of the worker, libraries included.
        gpu_memory_mib: Largest GPU memory; None without a GPU.
        checkpoint_bytes: Of a whole checkpoint.
        model_bytes: Of an exported model.
    """

    step: float
    validation: float
    images: float
    checkpoint: float
    around: float
    memory_mib: float
    gpu_memory_mib: float | None
    checkpoint_bytes: int
    model_bytes: int


@dataclass(frozen=True)
class Forecast:
    """What the whole run will take.

    Attributes:
        training: Seconds of all steps; likewise the next four.
        read_bytes: From the shards, by all workers, over the whole run.
        read_bytes_per_second: While training.
        stored_bytes: Checkpoints kept and models, at the end.
    """

    training: float
    validation: float
    images: float
    checkpoints: float
    around: float
    read_bytes: float
    read_bytes_per_second: float
    stored_bytes: float

    @property
    def seconds(self) -> float:
        """Of the whole command."""
        return self.training + self.validation + self.images + self.checkpoints + self.around


def times_due(plan: Plan, interval: int) -> int:
    """How often something done every ``interval`` steps is done: after the last step, too."""
    return -(-plan.steps // interval)


def forecast(plan: Plan, measured: Measured) -> Forecast:
    """Extend a short run to the whole.

    A worker's share of a step is taken to cost on many workers what it costs on one: what their exchange of gradients adds is
    not in it. Held-out faces are shared among the workers.

    Args:
        plan: Of the whole run.
        measured: Of a run with one worker, which had one worker's share of each batch.
    """
    config = plan.config
    validations = times_due(plan, plan.validate_steps) if plan.validation is not None else 0
    training = plan.steps * measured.step
    step_bytes = config.train_batch * _bytes_a_face(plan.train)
    step_bytes += sum(
        n * _bytes_a_face(extra) for n, extra in zip(config.extra_batches, plan.extra, strict=True)
    )
    if plan.unlabelled is not None:
        step_bytes += config.unlabelled_batch * _bytes_a_face(plan.unlabelled.sets)
    held_out = plan.validation.bytes if plan.validation is not None else 0
    return Forecast(
        training=training,
        validation=validations * measured.validation / config.cluster.workers,
        images=times_due(plan, plan.image_steps) * measured.images,
        checkpoints=times_due(plan, plan.checkpoint_steps) * measured.checkpoint,
        around=measured.around,
        read_bytes=plan.steps * step_bytes + validations * held_out,
        read_bytes_per_second=step_bytes / measured.step,
        stored_bytes=config.cluster.keep_checkpoints * measured.checkpoint_bytes + 2 * measured.model_bytes,
    )


def _bytes_a_face(faces: Manifest | JoinedSet) -> float:
    return faces.bytes / faces.samples
