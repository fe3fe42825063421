"""The one file that talks to DeepSpeed: an engine per network, a configuration per engine.

A generator and a discriminator are two engines with their own optimizers. The order of calls that is right at every ZeRO
stage is in ``pipeline.training.step``; this file only builds, saves and restores.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from pipeline.errors import TrainingError
from pipeline.registry import Part, build
from pipeline.training.compiler import leave_compiler_out
from pipeline.training.layout import lay_channels_last

_TAG = "engine"


def _deepspeed() -> Any:
    """DeepSpeed, imported without MLflow.

    Its autotuner, which nothing here calls, imports MLflow where it is installed: that takes three times as long as all the rest
    of DeepSpeed, in every worker, and workers do not track.
    """
    hidden = "mlflow" not in sys.modules
    if hidden:
        sys.modules["mlflow"] = None  # type: ignore[assignment]
    try:
        import deepspeed
    finally:
        if hidden:
            del sys.modules["mlflow"]
    return deepspeed


def prepare_process(use_gpu: bool) -> None:
    """Settings DeepSpeed reads before its first engine; call once per worker, after the process group is up."""
    deepspeed = _deepspeed()
    from deepspeed.ops import __compatible_ops__
    from deepspeed.utils import logger

    logger.setLevel(logging.WARNING)
    if not use_gpu:
        # A sharp heatmap's softmax is full of numbers below 1e-38, which a CPU handles a hundred times slower than zeros: the
        # backward pass of a narrow generator on real faces took 0.70 s with them and 0.13 s without.
        torch.set_flush_denormal(True)
        # The shared-memory collective is compiled at first use, half a minute and a compiler for nothing at this size.
        __compatible_ops__["deepspeed_shm_comm"] = False
    if not deepspeed.comm.is_initialized():
        deepspeed.init_distributed(dist_backend="nccl" if use_gpu else "gloo", verbose=False)
    leave_compiler_out()  # only now: torch asks a compiler that is there to forget what it knew before the process group


def make_optimizer(params: Iterable[nn.Parameter], config: Part) -> torch.optim.Optimizer:
    """The optimizer a config names."""
    optimizer: torch.optim.Optimizer = build("optimizer", config, params=params)
    return optimizer


def engine_config(
    *,
    micro_batch: int,
    world_size: int,
    zero_stage: int,
    precision: Literal["fp32", "bf16"],
    gradient_clipping: float,
) -> dict[str, Any]:
    """DeepSpeed's configuration of one engine."""
    return {
        "train_batch_size": micro_batch * world_size,
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": gradient_clipping,
        "zero_optimization": {"stage": zero_stage},
        "zero_allow_untested_optimizer": True,
        "torch_autocast": {"enabled": precision == "bf16", "dtype": "bfloat16"},
        "steps_per_print": 2**31 - 1,
        "wall_clock_breakdown": False,
    }


def build_engine(
    module: nn.Module,
    optimizer: Part,
    *,
    micro_batch: int,
    world_size: int,
    zero_stage: int = 0,
    precision: Literal["fp32", "bf16"] = "fp32",
    gradient_clipping: float = 0.0,
    channels_last: bool = False,
) -> Any:
    """Wrap a network in a DeepSpeed engine.

    Args:
        module: The network; broadcast from rank 0 by DeepSpeed, so that all ranks start equal.
        optimizer: Name and parameters.
        micro_batch: Images of one rank in one step; DeepSpeed only reports with it.
        world_size: Number of ranks.
        zero_stage: 0, 1 or 2.
        precision: bf16 is autocast with fp32 weights.
        gradient_clipping: Global norm; 0 is off.
        channels_last: Lay images out with the channels innermost.

    Returns:
        deepspeed.DeepSpeedEngine.
    """
    if channels_last:
        lay_channels_last(module)
    engine, *_ = _deepspeed().initialize(
        model=module,
        optimizer=make_optimizer(module.parameters(), optimizer),
        config=engine_config(
            micro_batch=micro_batch,
            world_size=world_size,
            zero_stage=zero_stage,
            precision=precision,
            gradient_clipping=gradient_clipping,
        ),
    )
    return engine


def set_learning_rate(engine: Any, rate: float) -> None:
    """Set the rate of the next step."""
    for group in engine.optimizer.param_groups:
        group["lr"] = rate


def save_engine(engine: Any, folder: Path) -> None:
    """Save weights and optimizer state; every rank calls it and writes its own part."""
    engine.save_checkpoint(str(folder), tag=_TAG)


def _load_tensors(path: str, map_location: Any = None) -> Any:
    """What DeepSpeed reads its files with, in place of its own reader, which runs whatever a pickle names."""
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    # All that ZeRO's optimizers write beside tensors and plain values: numbers in a named shape.
    with torch.serialization.safe_globals([LossScaler, ZeroStageEnum, fragment_address]):
        return torch.load(path, map_location=map_location, weights_only=True)


def _first_line(error: Exception) -> str:
    """Torch's advice on what it would not read is to run it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    refused = [line for line in lines if "Unsupported" in line]
    return (refused or lines or [type(error).__name__])[0]


def load_engine(engine: Any, folder: Path) -> None:
    """Restore what ``save_engine`` wrote; every rank calls it. A pickle that names any other class than those of ours is refused.

    Raises:
        TrainingError: Nothing usable there, or ZeRO was saved by another number of ranks.
    """
    engine.checkpoint_engine.load = _load_tensors
    try:
        path, _ = engine.load_checkpoint(str(folder), tag=_TAG)
    except Exception as error:
        raise TrainingError(
            f"{folder}: cannot resume from this checkpoint: {_first_line(error)}. It is not of these networks, or was put there "
            "by somebody else: choose another name=…, or remove the run's folder to train it from the start"
        ) from error
    if path is None:
        raise TrainingError(
            f"{folder}: holds no checkpoint of an engine; 'landmarks checkpoint inspect RUN' says which are whole"
        )
