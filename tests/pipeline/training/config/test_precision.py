"""float16 is refused, and the reasons hold: when one of these fails, it may be time to take it in."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from pipeline.losses.laplace_kl import LaplaceKL
from pipeline.training.config.experiment import TrainingConfig


@pytest.mark.parametrize("name", ["fp16", "float16", "half"])
def test_half_precision_is_refused_with_the_reason_and_the_remedy(name):
    with pytest.raises(ValidationError, match=r"leaves out of checkpoints.*set bf16"):
        TrainingConfig.model_validate({"precision": name})
    assert TrainingConfig.model_validate({"precision": "bf16"}).precision == "bf16"


def test_gradients_of_a_small_weight_vanish_at_a_float16_output():
    """On 16 faces of 68 landmarks, as a step has them; bfloat16 keeps them."""
    logits_BKHW, target_BK2 = torch.randn(16, 68, 80, 80), torch.rand(16, 68, 2) * 79
    found = {}
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        leaf = logits_BKHW.to(kind).requires_grad_()
        (found[kind],) = torch.autograd.grad(1e-4 * LaplaceKL()(leaf, target_BK2), leaf)
    exact = found[torch.float32]
    lost = {kind: float((value.float() - exact).norm() / exact.norm()) for kind, value in found.items()}
    assert lost[torch.bfloat16] < 0.01
    assert lost[torch.float16] > 0.5


_SCALE = """
import sys, torch
from pipeline.training.engines import _deepspeed, engine_config, load_engine, prepare_process, save_engine
from pathlib import Path
prepare_process(use_gpu=False)
def engine():
    module = torch.nn.Linear(2, 2)
    config = engine_config(micro_batch=1, world_size=1, zero_stage=0, precision="bf16", gradient_clipping=0.0)
    config["torch_autocast"]["dtype"] = "float16"
    return _deepspeed().initialize(model=module, optimizer=torch.optim.SGD(module.parameters(), lr=1.0), config=config)[0]
first, second = engine(), engine()
first.backward(first(torch.full((1, 2), 1e4)).square().sum())  # overflows: the scale is halved
first.step()
save_engine(first, Path(sys.argv[1]))
load_engine(second, Path(sys.argv[1]))
print(*(e.torch_autocast_z0_gradscaler.get_scale() for e in (first, second)))
"""


def test_deepspeed_leaves_the_scale_out_of_its_checkpoints(tmp_path):
    environment = os.environ | {"DS_ACCELERATOR": "cpu", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    environment |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _SCALE, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    saved, loaded = map(float, done.stdout.splitlines()[-1].split())
    assert saved == loaded / 2
