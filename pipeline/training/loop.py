"""The training loop of one rank. Knows nothing of Ray: its host is whatever runs it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.augment.draws import step_generator
from pipeline.methods.unlabelled.base import Draws
from pipeline.shards.device import DeviceBatch, to_device
from pipeline.shards.loader import BatchLoader
from pipeline.shards.manifest import join
from pipeline.storage import write_text
from pipeline.training import checkpoint
from pipeline.training.batches import augmented, concatenate
from pipeline.training.build import (
    build_augmentation,
    build_generator,
    build_method,
    build_schedule,
    count_parameters,
    engine_builder,
)
from pipeline.training.checkpoint import RunState
from pipeline.training.compiler import compile_network
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.ema import WeightAverage
from pipeline.training.engines import set_learning_rate
from pipeline.training.extra import with_radii
from pipeline.training.feeds import open_loaders
from pipeline.training.host import Host
from pipeline.training.identity import hashes_of
from pipeline.training.init import load_weights
from pipeline.training.meter import Guard, Meter
from pipeline.training.objectives import Objectives
from pipeline.training.plan import Plan, derive, set_origin
from pipeline.training.ranks import merged
from pipeline.training.records import Trace, export_model, write_bad_samples
from pipeline.training.resume import newest_whole
from pipeline.training.statistics import average_statistics
from pipeline.training.step import Stepper
from pipeline.training.system import SystemMeter
from pipeline.training.validate import Validation, validate

VALIDATION_BATCH = 32
LABELLED, UNLABELLED = 0, 1  # streams: their augmentations share no random numbers


def seed_step(seed: int, step: int, rank: int) -> None:
    """Dropout and noise of a step are functions of (seed, step, rank): a resume needs no generator state."""
    torch.manual_seed(int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]))


class TrainingLoop:
    """Builds everything a rank needs, resumes if there is something to resume from, and trains to the plan's end."""

    def __init__(self, config: ExperimentConfig, host: Host, run_folder: str, config_hash: str) -> None:
        self.config, self.host, self.run_folder, self.hash = config, host, run_folder, config_hash
        self.plan: Plan = derive(config)  # the driver has checked it
        self.schedule = build_schedule(config, self.plan.steps)
        torch.manual_seed(config.seed)
        markup = self.plan.markup
        generator = build_generator(config, markup)
        self.parameters = count_parameters(generator)
        self.method = build_method(config, markup, generator).to(host.device)
        set_origin(generator, self.method, self.plan)
        folder = newest_whole(host, hashes_of(run_folder, config_hash), self.plan.steps)
        if config.init is not None and folder is None:
            load_weights(generator, config)
        self.augmentation = build_augmentation(config, markup)
        training = config.training
        engine = engine_builder(config, host.world_size)
        self.generator = engine(generator.to(host.device), config.optimizer)
        if training.compile:
            compile_network(generator, host.device)
        self.objectives = Objectives(config, markup, self.plan.train, self.method, host.device, engine)
        self.average = (
            WeightAverage(self.generator.module, training.ema_decay) if training.ema_decay else None
        )
        self.evaluated = build_generator(config, markup).to(host.device)
        teacher = None
        if self.objectives.needs_teacher:
            teacher = build_generator(config, markup).to(host.device).eval().requires_grad_(False)
        autocast = (host.device.type, torch.bfloat16) if training.precision == "bf16" else None
        self.step = Stepper(
            self.generator,
            self.method,
            self.objectives.teachings,
            autocast,
            teacher,
            Draws(config.seed, rank=host.rank, world_size=host.world_size),
            training.accumulate,
        )
        self.trace: Trace | None = None
        # Step and result of the last validation of this process.
        self.validated: tuple[int, Validation | None] = (-1, None)
        self.state = RunState(config_hash=config_hash, extra_positions=(0,) * len(config.data.extra))
        if folder is not None:
            self.state = checkpoint.load(
                folder,
                self.generator,
                self.objectives.discriminators,
                self.average,
                world_size=host.world_size,
                zero_stage=config.cluster.zero_stage,
            )
            self.state.config_hash = config_hash  # a run that was made longer has another than its checkpoint

    def run(self) -> RunState:
        """Train from where the run stands to the plan's end.

        Raises:
            TrainingError: Non-finite loss, or too many samples that cannot be used.
        """
        host = self.host
        labelled, unlabelled = open_loaders(self.plan, self.state, host.rank, host.world_size, host.device)
        loaders = [*labelled, *unlabelled]
        if self.config.training.trace:
            self.trace = Trace(self.run_folder, self.host.rank)
        try:
            self._train(labelled, unlabelled)
        finally:
            for loader in loaders:
                loader.close()
            if self.trace is not None:
                self.trace.close()
        self._finish(loaders)
        return self.state

    def _train(self, labelled: Sequence[BatchLoader], unlabelled: Sequence[BatchLoader]) -> None:
        config, training, plan, state = self.config, self.config.training, self.plan, self.state
        meter, system = Meter(self.host.world_size, self.host.device), SystemMeter(self.host.device)
        guard = Guard(1 if self.host.device.type == "cpu" else training.log_every)
        self._publish_progress({})
        self.generator.train()
        waited = 0.0
        while state.step < plan.steps:
            began = time.perf_counter()
            labelled_batch = self._on_device(labelled, LABELLED)
            unlabelled_batch = None
            if unlabelled and state.step >= config.unlabelled.start_step:
                unlabelled_batch = self._on_device(unlabelled, UNLABELLED)
                self.objectives.see(unlabelled_batch)
                state.unlabelled_position += config.unlabelled_batch
            rate = self.schedule(state.step)
            set_learning_rate(self.generator, config.optimizer.lr * rate)
            self.objectives.set_learning_rate(rate)
            seed_step(config.seed, state.step, self.host.rank)
            if self.step.teacher is not None and unlabelled_batch is not None:
                assert self.average is not None  # the config asks for it
                self.average.copy_to(self.step.teacher, self.generator.module)
                average_statistics([self.step.teacher], self.host.world_size)
            step_metrics = self.step(labelled_batch, unlabelled_batch, state.step)
            if self.average is not None:
                self.average.update(self.generator.module)
                state.average_updates = self.average.updates
            state.take_labelled(config.train_batch, config.extra_batches)
            keys = labelled_batch.keys + (unlabelled_batch.keys if unlabelled_batch else [])
            guard.watch(state.step, keys, step_metrics)
            if self.trace is not None:
                self.trace.write(state.step, keys, step_metrics)
            meter.add(step_metrics)
            state.step += 1
            state.seconds += time.perf_counter() - began
            if plan.due(state.step, training.log_every):
                wait_now = sum(loader.wait_seconds for loader in (*labelled, *unlabelled))
                in_step = config.unlabelled_batch if unlabelled_batch is not None else 0
                metrics = meter.flush(training.batch, in_step, wait_now - waited)
                waited = wait_now
                self._publish_progress(
                    {f"train/{k}": v for k, v in metrics.items()} | {"train/lr": config.optimizer.lr * rate},
                    self.objectives.complaints(metrics, state.step),
                )
                self._publish_system(system)
            paused = time.perf_counter()
            self._housekeeping(guard)
            meter.exclude(time.perf_counter() - paused)

    def _housekeeping(self, guard: Guard) -> None:
        """Validate, draw and save where they are due; nothing that a non-finite step touched is handed on."""
        plan, step = self.plan, self.state.step
        if any(plan.due(step, n) for n in (plan.validate_steps, plan.image_steps, plan.checkpoint_steps)):
            discriminators = self.objectives.discriminators.values()
            networks = (engine.module for engine in (self.generator, *discriminators))
            average_statistics(networks, self.host.world_size)
        if self.config.data.validation and plan.due(step, plan.validate_steps):
            guard.check()
            self._timed("validation", self._validate)
        if plan.due(step, plan.image_steps):
            self._timed("images", self._publish_images)
        if plan.due(step, plan.checkpoint_steps):
            guard.check()
            if self.trace is not None:
                self.trace.keep()
            self._timed("checkpoint", self._save)

    def _timed(self, name: str, work: Callable[[], None]) -> None:
        began = time.perf_counter()
        work()
        self._publish_progress({f"system/{name}_seconds": time.perf_counter() - began})

    def _on_device(self, loaders: Sequence[BatchLoader], stream: int) -> DeviceBatch:
        mask_occluded, size = self.config.data.occluded == "mask", self.config.input_size
        parts = [to_device(loader.next(), self.host.device, size, mask_occluded) for loader in loaders]
        if stream == LABELLED:
            parts = with_radii(parts, self.config, self.state.step, self.plan.steps)
        batch = concatenate(parts)
        if self.augmentation is None:
            return batch
        generator = step_generator(self.config.seed, self.state.step, stream)
        return augmented(
            batch, self.augmentation, generator, self.host.rank, self.host.world_size, mask_occluded
        )

    def _validate(self) -> None:
        self.evaluated.load_state_dict(checkpoint.weights(self.generator.module, self.average))
        assert self.config.data.validation is not None  # the caller asked
        result = validate(
            self.evaluated,
            self.method,
            self.config.data.validation,
            self.plan.markup,
            input_size=self.config.input_size,
            batch=VALIDATION_BATCH,
            device=self.host.device,
            rank=self.host.rank,
            world_size=self.host.world_size,
        )
        self.validated = (self.state.step, result)
        nme = result.metrics["nme"]
        if self.state.best is None or nme < self.state.best or not math.isfinite(self.state.best):
            self.state.best, self.state.best_step = nme, self.state.step
            self._export("best", result)
        found = {k: v for k, v in result.metrics.items() if k != "faces"} | {"best_nme": self.state.best}
        if self.host.rank == 0:
            found |= self.objectives.validate(self.evaluated)
        self._publish_progress({f"validation/{k}": v for k, v in found.items()})

    def _export(self, which: str, validation: Validation | None) -> None:
        if self.host.rank == 0:
            weights = checkpoint.weights(self.generator.module, self.average)
            export_model(self.run_folder, which, self.plan, self.state, weights, self.parameters, validation)

    def _save(self) -> None:
        def write(folder: Path) -> None:
            checkpoint.save(
                folder,
                self.host.rank,
                self.state,
                self.generator,
                self.objectives.discriminators,
                self.average,
                world_size=self.host.world_size,
                zero_stage=self.config.cluster.zero_stage,
            )

        metrics = {"step": self.state.step, "validation_nme": self.state.best}
        self.host.save(self.state.step, metrics, write)

    def _publish_progress(self, metrics: dict[str, float], complaints: Sequence[str] = ()) -> None:
        if self.host.rank == 0:
            self._publish(metrics, **({"complaints": list(complaints)} if complaints else {}))

    def _publish_system(self, system: SystemMeter) -> None:
        # Every rank's own: one starved or swollen worker slows all of them.
        self._publish({f"system/worker{self.host.rank}/{k}": v for k, v in system.read().items()})

    def _publish_images(self) -> None:
        if self.host.rank != 0 or not self.config.data.validation:
            return
        from pipeline.training.images import validation_images

        self.evaluated.load_state_dict(checkpoint.weights(self.generator.module, self.average))
        images = validation_images(
            self.evaluated,
            self.method,
            self.config.data.validation,
            self.plan.markup,
            self.config.input_size,
            self.host.device,
        )
        self._publish({}, images=images)

    def _publish(self, metrics: dict[str, float], **more: Any) -> None:
        self.host.publish({"step": self.state.step, "steps": self.plan.steps, "metrics": metrics} | more)

    def _finish(self, loaders: list[BatchLoader]) -> None:
        own = {key: reason for loader in loaders for key, reason in loader.quarantine.entries.items()}
        bad = merged(own, self.host.world_size)
        if self.host.rank != 0:
            return
        measured, validation = self.validated
        self._export("last", validation if measured == self.state.step else None)
        if bad:
            write_bad_samples(self.run_folder, bad)
        write_text(join(self.run_folder, "finished.json"), self.state.model_dump_json(indent=2) + "\n")
