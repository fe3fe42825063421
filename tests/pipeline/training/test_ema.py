"""The weight average against plain numpy."""

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.training.ema import WeightAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(5, 2))


def walk(module: nn.Module, rng: np.random.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.from_numpy(rng.normal(size=tuple(parameter.shape)).astype(np.float32)))
        module[1].running_mean += 1.0


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.999])
def test_against_numpy(decay):
    module, rng = network(), np.random.default_rng(1)
    average = WeightAverage(module, decay)
    expected = {n: p.detach().numpy().astype(np.float64) for n, p in module.named_parameters()}
    for n in range(1, 41):
        walk(module, rng)
        average.update(module)
        d = min(decay, (1 + n) / (10 + n))
        for name, parameter in module.named_parameters():
            expected[name] = d * expected[name] + (1 - d) * parameter.detach().numpy()
    state = average.state(module)
    assert state.keys() == module.state_dict().keys()
    for name, value in expected.items():
        np.testing.assert_allclose(state[name].numpy(), value, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(state["1.running_mean"].numpy(), np.full(4, 40.0))


def test_a_constant_network_is_its_own_average():
    module = network()
    average = WeightAverage(module, 0.99)
    for _ in range(5):
        average.update(module)
    for name, value in average.state(module).items():
        torch.testing.assert_close(value, module.state_dict()[name])


def test_the_start_does_not_follow_the_network():
    module = network()
    average = WeightAverage(module, 0.99)
    before = module[0].weight.detach().clone()
    walk(module, np.random.default_rng(2))
    assert torch.equal(average.state(module)["0.weight"], before)


def test_a_state_does_not_move_when_training_goes_on():
    module = network()
    average = WeightAverage(module, 0.5)
    state = average.state(module)
    kept = {name: value.clone() for name, value in state.items()}
    walk(module, np.random.default_rng(3))
    average.update(module)
    for name, value in state.items():
        assert torch.equal(value, kept[name]), name


def test_a_saved_average_goes_on_as_if_never_stopped():
    module, rng = network(), np.random.default_rng(4)
    whole = WeightAverage(module, 0.99)
    for _ in range(3):
        walk(module, rng)
        whole.update(module)
    resumed = WeightAverage(network(), 0.99)
    resumed.load({k: v.clone() for k, v in whole.state(module).items()}, whole.updates)
    for _ in range(3):
        walk(module, rng)
        whole.update(module)
        resumed.update(module)
    assert resumed.updates == 6
    for name, value in whole.state(module).items():
        assert torch.equal(value, resumed.state(module)[name])


def test_half_precision_is_averaged_in_single():
    module = nn.Linear(4, 4).to(torch.bfloat16)
    average = WeightAverage(module, 0.999)
    start = module.weight.detach().float().clone()
    with torch.no_grad():
        module.weight.add_(1.0)
    moved = module.weight.detach().float()
    average.update(module)
    value = average.state(module)["weight"]
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, start * 2 / 11 + moved * 9 / 11)


def test_a_teacher_gets_the_average_and_the_modules_own_statistics():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    average = WeightAverage(module, 0.9)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    module(torch.rand(8, 3, 4, 4))
    average.update(module)
    teacher = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    average.copy_to(teacher, module)
    for name, value in average.state(module).items():
        assert torch.equal(teacher.state_dict()[name], value), name
    assert not torch.equal(teacher[0].weight, module[0].weight)
    assert torch.equal(teacher[1].running_mean, module[1].running_mean)
