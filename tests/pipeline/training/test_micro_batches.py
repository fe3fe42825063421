"""Micro-batches against the whole batch, and against plain passes over each; memory; and trainings of two ranks.

This file is also the program of each rank: ``python test_micro_batches.py RANK FOLDER`` trains every config of the folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.losses.adversarial import gradient_penalty
from pipeline.models.hourglass import StackedHourglass
from pipeline.models.output import as_output, joined
from pipeline.models.patchgan import PatchGAN
from pipeline.models.rcn import RCN
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.engines import prepare_process
from pipeline.training.loop import TrainingLoop
from pipeline.training.micro_batches import MicroBatches

MODELS = {
    "rcn": {"name": "rcn", "width": 4, "dropout": 0.0},
    "hourglass": {"name": "hourglass", "stacks": 1, "width": 8, "levels": 2},
}
FACES, SIDE = 7, 32  # odd: no number of micro-batches but 1 and 7 divides them evenly
TESTS = Path(__file__).resolve().parents[2]


def in_parts(network: nn.Module, parts: int) -> MicroBatches:
    return MicroBatches(network, network, network, parts)


def gradients(network: nn.Module) -> list[Tensor]:
    found = [parameter.grad for parameter in network.parameters()]
    network.zero_grad()
    return [gradient.clone() for gradient in found if gradient is not None]


def loss_of(result: Any) -> Tensor:
    """No mean over faces: each has its own part, and they are bound to each other."""
    total = torch.zeros(())
    for stage in as_output(result).stages:
        for name in sorted(stage.gives):
            values_BN = getattr(stage, name).flatten(1)
            weights_B = torch.arange(1.0, len(values_BN) + 1)
            total = total + (values_BN.square().mean(1) * weights_B).sum() ** 0.5
    return total


@pytest.mark.parametrize("parts", [2, 3, 7, 20])
def test_a_network_without_statistics_has_the_gradients_of_the_whole_batch(parts):
    network = RCN(5, width=4, dropout=0.0).double()
    images_B3HW = torch.rand(FACES, 3, SIDE, SIDE, dtype=torch.float64)
    whole = network(images_B3HW)
    loss_of(whole).backward()
    expected = gradients(network)
    together = in_parts(network, parts)(images_B3HW)
    torch.testing.assert_close(together, whole, rtol=1e-12, atol=1e-12)
    loss_of(together).backward()
    torch.testing.assert_close(gradients(network), expected, rtol=1e-9, atol=1e-12)


def networks_with_state() -> list[tuple[nn.Module, int]]:
    """Dropout; batch norm, and an output of several stages; noise with spectral norm's vectors, or with batch norm."""
    return [
        (RCN(5, width=4, dropout=0.5), 3),
        (StackedHourglass(5, stacks=2, width=8, levels=2), 3),
        (PatchGAN(8, width=4, spectral_norm=True), 8),
        (PatchGAN(8, width=4), 8),
    ]


@pytest.mark.parametrize("kind", range(4), ids=["dropout", "batch norm", "spectral norm", "patchgan"])
def test_two_passes_leave_what_one_pass_over_each_micro_batch_leaves(kind):
    torch.manual_seed(3)
    network, channels = networks_with_state()[kind]
    images_BCHW = torch.rand(6, channels, SIDE, SIDE)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(4)
    loss_of(in_parts(network, 2)(images_BCHW)).backward()
    drawn_after = torch.rand(1)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    ours = gradients(network)

    network.load_state_dict(start)
    torch.manual_seed(4)
    halves = [as_output(network(images_BCHW[place::2])) for place in (0, 1)]
    loss_of(joined(halves).map(lambda rows: rows[[0, 3, 1, 4, 2, 5]])).backward()
    assert torch.equal(drawn_after, torch.rand(1))  # whatever comes next draws what it would have drawn
    torch.testing.assert_close(gradients(network), ours, rtol=1e-5, atol=1e-7)
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name
    if kind > 0:  # the case shows something
        assert any(not torch.equal(start[name], value) for name, value in state.items())


def test_a_penalty_on_gradients_goes_through_micro_batches():
    discriminator = PatchGAN(8, width=4, layers=2, noise=0.0).double()
    pairs_BCHW = torch.rand(FACES, 8, SIDE, SIDE, dtype=torch.float64)
    discriminator.float()
    found = []
    for network in (discriminator, in_parts(discriminator, 3).module):
        penalty = gradient_penalty(network, pairs_BCHW)
        penalty.backward()
        found.append((penalty.detach(), gradients(discriminator)))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-8)


class Watched(nn.Module):
    """Two layers whose activations can be counted while they live."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
        self.alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
        self.most = 0

    def forward(self, images_B3HW: Tensor) -> Tensor:
        features = self.first(images_B3HW).sigmoid()
        self.alive.add(features)
        self.most = max(self.most, sum(map(len, self.alive)))
        return self.second(features.sin())


def test_activations_of_one_micro_batch_at_a_time_are_in_memory():
    network = Watched()
    result = in_parts(network, 4)(torch.rand(8, 3, 4, 4))
    assert len(network.alive) == 0  # only outputs are left after the first pass
    result.square().sum().backward()
    assert network.most == 2
    network(torch.rand(8, 3, 4, 4))
    assert network.most == 8


def test_more_micro_batches_than_faces_are_refused(toy_sets):
    raw = config("refused", Path("unused"), toy_sets, "rcn", 0, 4)
    with pytest.raises(
        ValidationError, match=r"accumulate = 4: a worker has 3 labelled faces a step.*accumulate=3 or less"
    ):
        ExperimentConfig.model_validate(raw)


# ------------------------------------------------------------------------------------------------- trainings of two ranks


def config(
    name: str, root: Path, toy_sets: dict[str, Path], model: str, zero: int, parts: int, **training: Any
) -> dict:
    """Three steps with an adversarial objective and one that balances its share, by plain descent: a wrong gradient shows."""
    quiet = {"name": "patchgan", "width": 4, "layers": 2, "noise": 0.0}  # two layers have no batch norm
    objectives = [
        {"name": "adversarial", "weight": 2.0, "discriminator": quiet, "r1": 1.0},
        {"name": "mean_teacher", "weight": {"share": 0.5}},
    ]
    return {
        "name": name,
        "data": {**{k: str(toy_sets[k]) for k in ("train", "unlabelled")}, "streams": 4},
        "model": MODELS[model],
        "optimizer": {"name": "sgd", "lr": 1e-2},
        "unlabelled": {"objectives": objectives, "ratio": 4 / 3, "optimizer": {"name": "sgd", "lr": 1e-2}},
        "input_size": SIDE,
        "training": {"epochs": None, "steps": 3, "batch": 6, "accumulate": parts, "ema_decay": 0.9, "select": "last"}
        | {"cadence": "steps", "checkpoint_every": 9, "image_every": 9, "trace": True}
        | training,
        "cluster": {"storage": str(root), "workers": 2, "zero_stage": zero},
    }  # fmt: skip


def train(rank: int, folder: Path) -> None:
    """Every config of the folder."""
    from plain_host import PlainHost

    class RankHost(PlainHost):
        world_size = 2

        def save(self, step: int, metrics: dict[str, Any], write: Any) -> None:
            write(Path(self.folder) / f"checkpoint-of-rank-{self.rank}")

    for raw in json.loads((folder / "configs.json").read_text()):
        run = folder / raw["name"]
        host = RankHost(str(run))
        host.rank = rank
        loop = TrainingLoop(ExperimentConfig.model_validate(raw), host, str(run), "0" * 12)
        loop.run()
        if rank == 0:
            discriminator = loop.objectives.discriminators["adversarial"].module
            state = {f"generator.{k}": v for k, v in loop.generator.module.state_dict().items()}
            state |= {f"discriminator.{k}": v for k, v in discriminator.state_dict().items()}
            save_file({k: v.contiguous() for k, v in state.items()}, run / "networks.safetensors")


def main() -> None:
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.environ |= {"DS_ACCELERATOR": "cpu", "RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    prepare_process(use_gpu=False)
    train(rank, folder)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, toy_sets: dict[str, Path]) -> Path:
    """The folder that two processes left."""
    folder = tmp_path_factory.mktemp("ranks")
    cases = [("rcn", 0, 1, "fp32"), *(("rcn", zero, 3, "fp32") for zero in (0, 1, 2))]
    cases += [("rcn", 1, 3, "bf16"), ("hourglass", 1, 3, "fp32")]
    made = [
        config(
            f"{model}-{zero}-{parts}-{precision}", folder, toy_sets, model, zero, parts, precision=precision
        )
        for model, zero, parts, precision in cases
    ]
    (folder / "configs.json").write_text(json.dumps(made))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (TESTS, TESTS.parent)))}
    started = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(folder)], env=environment)
        for rank in (0, 1)
    ]
    assert [rank.wait(timeout=300) for rank in started] == [0, 0]
    return folder


def networks(folder: Path, name: str) -> dict[str, Tensor]:
    return load_file(folder / name / "networks.safetensors")


def metrics(folder: Path, name: str) -> list[dict[str, Any]]:
    """What rank 0 saw in each step."""
    (file,) = (folder / name / "trace").glob("*0*")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_two_ranks_take_the_step_of_the_whole_batch(ranks, zero):
    whole, parts = networks(ranks, "rcn-0-1-fp32"), networks(ranks, f"rcn-{zero}-3-fp32")
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-4, atol=1e-6, msg=name)
    assert any(not torch.equal(parts[name], value) for name, value in whole.items())  # it took another way


@pytest.mark.parametrize("zero", [0, 1, 2])
def test_two_ranks_see_the_same_samples_and_report_the_same_losses_and_shares(ranks, zero):
    whole, parts = metrics(ranks, "rcn-0-1-fp32"), metrics(ranks, f"rcn-{zero}-3-fp32")
    assert len(whole) == 3
    assert {"r1", "share/mean_teacher", "weight/mean_teacher", "pseudo_label"} <= whole[0]["metrics"].keys()
    for one, other in zip(whole, parts, strict=True):
        assert one["keys"] == other["keys"]
        theirs, ours = ({k: float.fromhex(v) for k, v in of["metrics"].items()} for of in (one, other))
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-6)


def test_bf16_goes_through_micro_batches(ranks):
    exact, rough = (networks(ranks, f"rcn-1-3-{precision}") for precision in ("fp32", "bf16"))
    assert any(not torch.equal(rough[name], value) for name, value in exact.items())
    for one, other in zip(metrics(ranks, "rcn-1-3-fp32"), metrics(ranks, "rcn-1-3-bf16"), strict=True):
        theirs, ours = (float.fromhex(of["metrics"]["supervised"]) for of in (one, other))
        assert ours == pytest.approx(theirs, rel=0.02)


def test_batch_norm_counts_micro_batches(ranks):
    state = networks(ranks, "hourglass-1-3-fp32")
    assert {int(value) for name, value in state.items() if "batches_tracked" in name} == {9}  # of three steps


def test_a_resumed_run_is_the_unbroken_one_to_the_bit(tmp_path, toy_sets, train_plainly):
    """With everything that leaves a state or draws: dropout, batch norm, noise, a teacher."""
    runs = []
    for name, steps in (("whole", 3), ("resumed", 2), ("resumed", 3)):
        made = config(name, tmp_path, toy_sets, "rcn", 1, 3, steps=steps)
        made["model"] = made["model"] | {"dropout": 0.2}
        made["unlabelled"]["objectives"][0]["discriminator"] = {"name": "patchgan", "width": 4}
        runs.append(made | {"cluster": {**made["cluster"], "workers": 1}})
    assert [end["error"] for end in train_plainly(*runs)] == [None] * 3
    whole, resumed = (
        load_file(next((tmp_path / name / "models" / "last").glob("*.safetensors")))
        for name in ("whole", "resumed")
    )
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    assert metrics(tmp_path, "resumed") == metrics(tmp_path, "whole")


if __name__ == "__main__":
    main()
