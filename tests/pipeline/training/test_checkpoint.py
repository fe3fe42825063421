"""Where a run stands reads back exactly; a checkpoint that is not whole is refused by name."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import TrainingError
from pipeline.training import checkpoint
from pipeline.training.checkpoint import RunState
from pipeline.training.ema import WeightAverage

STATE = RunState(
    step=120,
    labelled_position=1920,
    unlabelled_position=3840,
    best=4.0100000000000002,
    best_step=90,
    average_updates=120,
    config_hash="0123456789ab",
    seconds=12.25,
)


class FakeEngine:
    """Stands for a DeepSpeed engine: only its module is looked at here."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.module = nn.Linear(3, 2)


@pytest.fixture
def engines(monkeypatch):
    """Engines' own files, which test_engines covers, become plain markers."""
    restored = []

    def save_engine(engine, folder):
        folder.mkdir(parents=True)
        (folder / "engine").write_text(str(id(engine)))

    def load_engine(engine, folder):
        restored.append((folder.name, (folder / "engine").read_text()))

    monkeypatch.setattr(checkpoint, "save_engine", save_engine)
    monkeypatch.setattr(checkpoint, "load_engine", load_engine)
    return restored


@pytest.fixture
def saved(tmp_path, engines):
    generator, discriminator = FakeEngine(0), FakeEngine(1)
    average = WeightAverage(generator.module, 0.9)
    with torch.no_grad():
        generator.module.weight.add_(1.0)
    average.update(generator.module)
    checkpoint.save(tmp_path / "c", 0, STATE, generator, {"adversarial": discriminator}, average)
    return tmp_path / "c", generator, discriminator, average


def test_the_state_reads_back_to_the_bit():
    assert RunState.model_validate_json(STATE.model_dump_json()) == STATE
    assert RunState.model_validate_json(RunState().model_dump_json()) == RunState()
    with pytest.raises(ValueError, match="epoch"):
        RunState.model_validate({"epoch": 3})


def test_everything_comes_back(saved, engines):
    folder, generator, discriminator, average = saved
    resumed = WeightAverage(FakeEngine(7).module, 0.9)
    assert checkpoint.load(folder, generator, {"adversarial": discriminator}, resumed) == STATE
    assert [name for name, _ in engines] == ["generator", "adversarial"]
    assert [marker for _, marker in engines] == [str(id(generator)), str(id(discriminator))]
    assert resumed.updates == 120
    for name, value in average.state(generator.module).items():
        assert torch.equal(value, resumed.state(generator.module)[name])


def test_other_ranks_write_only_their_engines(tmp_path, engines):
    checkpoint.save(tmp_path / "c", 1, STATE, FakeEngine(0), {}, WeightAverage(nn.Linear(1, 1), 0.9))
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["generator"]


@pytest.mark.parametrize(
    "content", [None, "", "{", '{"step": "many"}', '{"epoch": 1}', "[]", b"\xff\xfe"], ids=repr
)
def test_a_checkpoint_that_is_not_whole(saved, content):
    folder, generator, discriminator, average = saved
    (folder / "state.json").unlink()
    if content is not None:
        (folder / "state.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TrainingError, match="not a whole checkpoint") as caught:
        checkpoint.load(folder, generator, {"adversarial": discriminator}, average)
    assert str(folder) in str(caught.value)
    assert "landmarks checkpoint inspect" in str(caught.value)


@pytest.mark.parametrize("damage", ["missing", "truncated", "of another network"])
def test_an_average_that_does_not_belong(saved, damage):
    folder, generator, discriminator, average = saved
    file = folder / "average.safetensors"
    if damage == "missing":
        file.unlink()
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:20])
    else:
        average = WeightAverage(nn.Linear(5, 2), 0.9)
    with pytest.raises(TrainingError, match=r"average\.safetensors: not the weight average of this network"):
        checkpoint.load(folder, generator, {"adversarial": discriminator}, average)


def test_another_world_size_or_stage_is_refused_where_it_cannot_be(tmp_path, engines):
    checkpoint.save(tmp_path / "zero", 0, STATE, FakeEngine(0), {}, None, world_size=1, zero_stage=1)
    with pytest.raises(
        TrainingError, match=r"zero: was saved by 1 worker.*cluster\.zero_stage=1 and cluster\.workers=1"
    ):
        checkpoint.load(tmp_path / "zero", FakeEngine(0), {}, None, world_size=2, zero_stage=1)
    with pytest.raises(TrainingError, match=r"set cluster\.zero_stage=1"):
        checkpoint.load(tmp_path / "zero", FakeEngine(0), {}, None, world_size=1, zero_stage=0)
    # Without ZeRO every rank has everything.
    checkpoint.save(tmp_path / "plain", 0, STATE, FakeEngine(0), {}, None)
    assert checkpoint.load(tmp_path / "plain", FakeEngine(0), {}, None, world_size=2) == STATE


def test_weights_are_the_averages_where_there_is_one():
    module = nn.Linear(3, 2)
    average = WeightAverage(module, 0.9)
    plain = checkpoint.weights(module, None)
    kept = {k: v.clone() for k, v in plain.items()}
    with torch.no_grad():
        module.weight.add_(1.0)
    # What was handed on does not move with the training that goes on.
    for name, value in kept.items():
        assert torch.equal(plain[name], value)
    np.testing.assert_array_equal(
        checkpoint.weights(module, average)["weight"].numpy(), kept["weight"].numpy()
    )
    assert json.loads(STATE.model_dump_json())["best"] == 4.01
