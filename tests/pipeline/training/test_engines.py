"""What a worker's process is set to before its first engine, and DeepSpeed's configuration."""

from __future__ import annotations

import os
import subprocess
import sys

from pipeline.training.engines import engine_config

_WORKER = """
import importlib.util, sys
import torch
from pipeline.training.engines import prepare_process
tiny = torch.tensor([1e-30], dtype=torch.float32)
assert (tiny * 1e-10).item() > 0, "this machine flushes by default: the test shows nothing"
prepare_process(use_gpu=False)
assert torch.distributed.get_backend() == "gloo"
# A worker's start must not take seconds for a tracker it does not use; nor may it be lost to whoever wants it later.
assert "deepspeed.autotuning.autotuner" in sys.modules and "mlflow" not in sys.modules
assert importlib.util.find_spec("mlflow") is not None
# Nor for a compiler that compiles nothing: an optimizer's step would import it.
weight = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam([weight])
weight.sum().backward()
optimizer.step()
assert not {"torch._inductor", "sympy"} & set(sys.modules)
assert (tiny * 1e-10).item() == 0
p = torch.softmax(torch.linspace(-95, 0, 64), 0)
assert p[0].item() == 0 and abs(p.sum().item() - 1) < 1e-6
print("ok")
"""


def test_worker_flushes_denormals_and_joins_gloo():
    environment = os.environ | {
        "DS_ACCELERATOR": "cpu",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", _WORKER], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("ok")


def test_engine_config_says_what_deepspeed_must_not_guess():
    config = engine_config(micro_batch=6, world_size=4, zero_stage=2, precision="bf16", gradient_clipping=0.5)
    assert config["train_batch_size"] == 24
    assert config["gradient_accumulation_steps"] == 1
    assert config["zero_optimization"] == {"stage": 2}
    assert config["torch_autocast"] == {"enabled": True, "dtype": "bfloat16"}
    assert not engine_config(
        micro_batch=1, world_size=1, zero_stage=0, precision="fp32", gradient_clipping=0
    )["torch_autocast"]["enabled"]
