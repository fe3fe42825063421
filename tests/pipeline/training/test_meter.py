"""Means and rates between two log lines; the guard that stops a run."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pipeline.errors import TrainingError
from pipeline.training.meter import Guard, Meter

CPU = torch.device("cpu")


def metrics(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def meter(world_size: int = 1) -> Meter:
    return Meter(world_size, CPU, _began=time.perf_counter())


def test_means_and_rates(clock):
    one = meter()
    for value in (1.0, 2.0, 6.0):
        one.add(metrics(loss=value, real=value / 2))
    clock[0] += 2.0
    got = one.flush(labelled=16, unlabelled=32, wait_seconds=0.5)
    assert got == {
        "loss": 3.0,
        "real": 1.5,
        "steps_per_second": 1.5,
        "images_per_second": 24.0,
        "unlabelled_images_per_second": 48.0,
        "data_wait_share": 0.25,
    }


def test_a_flush_starts_again(clock):
    one = meter()
    one.add(metrics(loss=100.0))
    one.flush(1, 0, 0.0)
    one.add(metrics(loss=2.0))
    clock[0] += 1.0
    got = one.flush(8, 0, 0.0)
    assert got == {"loss": 2.0, "steps_per_second": 1.0, "images_per_second": 8.0, "data_wait_share": 0.0}


def test_a_figure_that_began_later_is_a_mean_over_its_own_steps(clock):
    one = meter()
    one.add(metrics(loss=1.0))
    one.add(metrics(loss=3.0, adversarial=5.0))
    clock[0] += 1.0
    got = one.flush(1, 0, 0.0)
    assert (got["loss"], got["adversarial"]) == (2.0, 5.0)


def test_the_caller_may_reuse_its_tensors(clock):
    one, value = meter(), torch.tensor(1.0)
    one.add({"loss": value})
    value.fill_(100.0)
    clock[0] += 1.0
    assert one.flush(1, 0, 0.0)["loss"] == 1.0


def test_means_are_over_ranks(tmp_path):
    arguments = [str(tmp_path / "store"), str(tmp_path)]
    ranks = [subprocess.Popen([sys.executable, __file__, str(rank), *arguments]) for rank in (0, 1)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0]
    for rank in (0, 1):
        assert json.loads((tmp_path / f"rank{rank}.json").read_text()) == {"loss": 2.0, "b": 5.0}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_the_guard_names_step_loss_and_samples(bad):
    guard = Guard(delay=1)
    guard.watch(41, ["a", "b"], metrics(loss=1.0))
    with pytest.raises(TrainingError) as caught:
        guard.watch(42, ["face-1", "face-2"], metrics(loss=1.0, discriminator=bad))
    message = str(caught.value)
    assert f"step 42: discriminator is {bad}" in message
    assert "face-1, face-2" in message
    assert "optimizer.lr" in message


def test_a_delayed_guard_looks_at_all_steps_and_names_the_first():
    guard = Guard(delay=4)
    guard.watch(0, ["a"], metrics(loss=1.0))
    guard.watch(1, ["b"], metrics(loss=float("nan")))
    guard.watch(2, ["c"], metrics(loss=float("nan")))
    with pytest.raises(TrainingError, match="step 1: loss is nan; samples of this step: b"):
        guard.watch(3, ["d"], metrics(loss=1.0))


def test_a_delayed_guard_looks_when_told_to():
    guard = Guard(delay=100)
    guard.watch(7, ["a"], metrics(loss=float("inf")))
    with pytest.raises(TrainingError, match="step 7"):
        guard.check()
    guard.check()  # looked at once, reported once


def _rank(rank: int, store: str, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    one = Meter(2, CPU)
    one.add(metrics(loss=1.0 + rank, b=10.0 * rank))
    one.add(metrics(loss=2.0 + rank, b=10.0 * rank))
    got = one.flush(1, 0, 0.0)
    Path(out, f"rank{rank}.json").write_text(json.dumps({k: got[k] for k in ("loss", "b")}))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _rank(int(sys.argv[1]), *sys.argv[2:])
