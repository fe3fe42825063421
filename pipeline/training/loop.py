"""The training loop of one rank. Knows nothing of Ray: its host is whatever runs it."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from pipeline.augment.draws import step_generator
from pipeline.shards.loader import BatchLoader
from pipeline.shards.manifest import join
from pipeline.shards.order import Order
from pipeline.shards.stream import SampleStream
from pipeline.storage import write_text
from pipeline.training import checkpoint
from pipeline.training.batches import DeviceBatch, augmented, to_device
from pipeline.training.build import (
    build_augmentation,
    build_generator,
    build_method,
    build_objective,
    build_schedule,
    count_parameters,
)
from pipeline.training.checkpoint import RunState
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.ema import WeightAverage
from pipeline.training.engines import build_engine, set_learning_rate
from pipeline.training.host import Host
from pipeline.training.meter import Guard, Meter
from pipeline.training.plan import Plan, derive, orders, set_origin
from pipeline.training.records import Trace, export_model, gather_bad_samples, write_bad_samples
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
        self.labelled_share = config.training.batch // host.world_size
        self.unlabelled_share = config.unlabelled_batch // host.world_size
        torch.manual_seed(config.seed)
        markup = self.plan.markup
        generator = build_generator(config, markup)
        self.parameters = count_parameters(generator)
        self.method = build_method(config, markup, generator).to(host.device)
        set_origin(generator, self.method, self.plan)
        self.augmentation = build_augmentation(config, markup)
        self.objective = None
        discriminator = None
        if config.unlabelled.objective is not None:
            self.objective = build_objective(config, markup)
            discriminator = self.objective.discriminator
        training = config.training
        engine = partial(
            build_engine,
            micro_batch=self.labelled_share + self.unlabelled_share,
            world_size=host.world_size,
            zero_stage=config.cluster.zero_stage,
            precision=training.precision,
            gradient_clipping=training.gradient_clipping,
        )
        self.generator = engine(generator.to(host.device), config.optimizer)
        self.discriminator = None
        if discriminator is not None:
            self.discriminator = engine(discriminator.to(host.device), config.unlabelled.optimizer)
        self.average = (
            WeightAverage(self.generator.module, training.ema_decay) if training.ema_decay else None
        )
        self.evaluated = build_generator(config, markup).to(host.device)
        teacher = None
        if self.objective is not None and self.objective.needs_teacher:
            teacher = build_generator(config, markup).to(host.device).eval().requires_grad_(False)
        autocast = (host.device.type, torch.bfloat16) if training.precision == "bf16" else None
        self.step = Stepper(
            self.generator,
            self.method,
            self.discriminator,
            self.objective,
            config.unlabelled.weight,
            autocast,
            teacher,
        )
        # Step and result of the last validation of this process.
        self.validated: tuple[int, Validation | None] = (-1, None)
        self.state = RunState(config_hash=config_hash)
        folder = host.latest()
        if folder is not None:
            self.state = checkpoint.load(folder, self.generator, self.discriminator, self.average)

    def run(self) -> RunState:
        """Train from where the run stands to the plan's end.

        Raises:
            TrainingError: Non-finite loss, or too many samples that cannot be used.
        """
        labelled_order, unlabelled_order = orders(self.plan)
        labelled = self._loader(
            self.config.data.train,
            labelled_order,
            self.labelled_share,
            self.state.labelled_position,
            self.config.data.focal_attributes,
        )
        unlabelled = None
        if unlabelled_order is not None and self.config.data.unlabelled:
            unlabelled = self._loader(
                self.config.data.unlabelled,
                unlabelled_order,
                self.unlabelled_share,
                self.state.unlabelled_position,
            )
        loaders = [loader for loader in (labelled, unlabelled) if loader is not None]
        trace = Trace(self.run_folder, self.host.rank) if self.config.training.trace else None
        try:
            self._train(labelled, unlabelled, trace)
        finally:
            for loader in loaders:
                loader.close()
            if trace is not None:
                trace.close()
        self._finish(loaders)
        return self.state

    def _loader(
        self, manifest: str, order: Order, share: int, position: int, attributes: tuple[str, ...] = ()
    ) -> BatchLoader:
        stream = SampleStream(
            manifest, order, rank=self.host.rank, world_size=self.host.world_size, start=position
        )
        data = self.config.data
        return BatchLoader(
            stream,
            share,
            threads=data.decode_threads,
            prefetch=data.prefetch_batches,
            max_bad_share=data.max_bad_share,
            attributes=attributes,
        )

    def _train(self, labelled: BatchLoader, unlabelled: BatchLoader | None, trace: Trace | None) -> None:
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
            if unlabelled is not None and state.step >= config.unlabelled.start_step:
                unlabelled_batch = self._on_device(unlabelled, UNLABELLED)
                state.unlabelled_position += config.unlabelled_batch
            rate = self.schedule(state.step)
            set_learning_rate(self.generator, config.optimizer.lr * rate)
            if self.discriminator is not None:
                set_learning_rate(self.discriminator, config.unlabelled.optimizer.lr * rate)
            seed_step(config.seed, state.step, self.host.rank)
            if self.step.teacher is not None and unlabelled_batch is not None:
                assert self.average is not None  # the config asks for it
                self.average.copy_to(self.step.teacher, self.generator.module)
            step_metrics = self.step(labelled_batch, unlabelled_batch)
            if self.average is not None:
                self.average.update(self.generator.module)
                state.average_updates = self.average.updates
            state.labelled_position += training.batch
            keys = labelled_batch.keys + (unlabelled_batch.keys if unlabelled_batch else [])
            guard.watch(state.step, keys, step_metrics)
            if trace is not None:
                trace.write(state.step, keys, step_metrics)
            meter.add(step_metrics)
            state.step += 1
            state.seconds += time.perf_counter() - began
            if plan.due(state.step, training.log_every):
                wait_now = labelled.wait_seconds + (unlabelled.wait_seconds if unlabelled else 0.0)
                in_step = config.unlabelled_batch if unlabelled_batch is not None else 0
                metrics = meter.flush(training.batch, in_step, wait_now - waited)
                waited = wait_now
                self._publish_progress(
                    {f"train/{k}": v for k, v in metrics.items()} | {"train/lr": config.optimizer.lr * rate}
                )
                self._publish_system(system)
            paused = time.perf_counter()
            self._housekeeping(guard)
            meter.exclude(time.perf_counter() - paused)

    def _housekeeping(self, guard: Guard) -> None:
        """Validate, draw and save where they are due; nothing that a non-finite step touched is handed on."""
        plan, step = self.plan, self.state.step
        if self.config.data.validation and plan.due(step, plan.validate_steps):
            guard.check()
            self._validate()
        if plan.due(step, plan.image_steps):
            self._publish_images()
        if plan.due(step, plan.checkpoint_steps):
            guard.check()
            self._save()

    def _on_device(self, loader: BatchLoader, stream: int) -> DeviceBatch:
        mask_occluded = self.config.data.occluded == "mask"
        batch = to_device(loader.next(), self.host.device, self.config.input_size, mask_occluded)
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
        best = {"validation/best_nme": self.state.best}
        self._publish_progress(
            {f"validation/{k}": v for k, v in result.metrics.items() if k != "faces"} | best
        )

    def _export(self, which: str, validation: Validation | None) -> None:
        if self.host.rank == 0:
            weights = checkpoint.weights(self.generator.module, self.average)
            export_model(self.run_folder, which, self.plan, self.state, weights, self.parameters, validation)

    def _save(self) -> None:
        def write(folder: Path) -> None:
            checkpoint.save(
                folder, self.host.rank, self.state, self.generator, self.discriminator, self.average
            )

        metrics = {"step": self.state.step, "validation_nme": self.state.best}
        self.host.save(self.state.step, metrics, write)

    def _publish_progress(self, metrics: dict[str, float]) -> None:
        if self.host.rank == 0:
            self.host.publish({"step": self.state.step, "steps": self.plan.steps, "metrics": metrics})

    def _publish_system(self, system: SystemMeter) -> None:
        # Every rank's own: one starved or swollen worker slows all of them.
        metrics = {f"system/worker{self.host.rank}/{k}": v for k, v in system.read().items()}
        self.host.publish({"step": self.state.step, "steps": self.plan.steps, "metrics": metrics})

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
        self.host.publish(
            {"step": self.state.step, "steps": self.plan.steps, "metrics": {}, "images": images}
        )

    def _finish(self, loaders: list[BatchLoader]) -> None:
        own = {key: reason for loader in loaders for key, reason in loader.quarantine.entries.items()}
        bad = gather_bad_samples(own, self.host.world_size)
        if self.host.rank != 0:
            return
        measured, validation = self.validated
        self._export("last", validation if measured == self.state.step else None)
        if bad:
            write_bad_samples(self.run_folder, bad)
        write_text(join(self.run_folder, "finished.json"), self.state.model_dump_json(indent=2) + "\n")
