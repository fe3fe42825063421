"""Balanced gradients against a computation of its own: through a whole network, loss by loss, norms by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.methods.unlabelled.weights import Weight
from pipeline.models.output import Output, Stage
from pipeline.training.balance_gradients import balance, cut, tensors

STEP = 3


class TwoStages(nn.Module):
    """Two stages of two parts each, one of which no loss looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> Output:
        hidden = self.first(x).tanh()
        last = self.second(hidden)
        return Output(
            (Stage(points=hidden, heatmaps=hidden.square()), Stage(points=last, heatmaps=last.exp()))
        )


def supervised(output: Output) -> torch.Tensor:
    return sum(stage.points.square().mean() for stage in output.stages)


def first_term(output: Output) -> torch.Tensor:
    return output.last.points.sin().mean() * 1e-3


def second_term(output: Output) -> torch.Tensor:
    return output.stages[0].points.pow(3).sum() + output.last.points.mean()


LOSSES = {"a": first_term, "b": second_term}


def weight_gradients(module: nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(module.parameters()), retain_graph=True, allow_unused=True))


def norm_at_output(loss: torch.Tensor, output: Output) -> float:
    """Of dL/dy for all y, summed up number by number."""
    total = 0.0
    for stage in output.stages:
        for tensor in (stage.points, stage.heatmaps):
            flat = torch.autograd.grad(loss, tensor, retain_graph=True, allow_unused=True)[0]
            total += 0.0 if flat is None else sum(float(v) ** 2 for v in flat.flatten())
    return total**0.5


@pytest.mark.parametrize(
    "weights",
    [
        {"a": Weight(share=0.1), "b": Weight(share=0.3)},
        {"a": Weight(share=2.0, ramp_steps=4), "b": Weight(fixed=7.5)},
        {"a": Weight(fixed=0.25, ramp_steps=12), "b": Weight(share=0.5, start_step=2, ramp_steps=4)},
        {"b": Weight(share=1.0, start_step=4)},
    ],
)
def test_the_weights_receive_the_balanced_combination(weights):
    torch.manual_seed(0)
    module = TwoStages().double()
    x = torch.randn(5, 3, dtype=torch.float64)
    output = module(x)
    leaves = cut(output)
    found = balance(
        supervised(leaves), {n: (LOSSES[n](leaves), w) for n, w in weights.items()}, tensors([leaves]), STEP
    )
    found.surrogate(tensors([output])).backward()

    # By hand, on losses that were never cut. Leaves of their own, as stage 2 is made of stage 1: ∂L/∂y is partial.
    plain = module(x)
    expected = weight_gradients(module, supervised(plain))
    apart = cut(plain)
    first = norm_at_output(supervised(apart), apart)
    ramps = {"a": {0.1: 1.0, 2.0: 0.75}, "b": {0.3: 1.0, 0.5: 0.25, 1.0: 0.0}}
    for name, weight in weights.items():
        own = norm_at_output(LOSSES[name](apart), apart)
        if weight.share is None:
            factor = weight.fixed * (STEP / 12 if weight.ramp_steps else 1.0)
        else:
            factor = ramps[name][weight.share] * weight.share * first / own
        assert float(found.factors[name]) == pytest.approx(factor, rel=1e-5)
        assert float(found.shares[name]) == pytest.approx(factor * own / first, rel=1e-5)
        for total, part in zip(expected, weight_gradients(module, LOSSES[name](plain)), strict=True):
            total += factor * part
    for parameter, gradient in zip(module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-9)


def test_a_fixed_weight_is_the_plain_sum_to_the_last_bit():
    torch.manual_seed(1)
    module = TwoStages()
    x, weight = torch.randn(6, 3), 0.001
    output = module(x)
    leaves = cut(output)
    (half, other), (plain_half, plain_other) = leaves.split([2, 4]), module(x).split([2, 4])
    found = balance(
        supervised(half), {"a": (first_term(other), Weight(fixed=weight))}, tensors([leaves]), STEP
    )
    ours = weight_gradients(module, found.surrogate(tensors([output])))
    plain = weight_gradients(module, supervised(plain_half) + weight * first_term(plain_other))
    assert all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))


def test_nothing_explodes_where_there_is_no_gradient():
    x = torch.randn(4, requires_grad=True)
    leaf = Output((Stage(points=x.detach().requires_grad_()),))
    (y,) = tensors([leaf])
    silent, loud = (y * 0.0).sum(), y.sum()
    found = balance(loud, {"a": (silent + 5.0, Weight(share=0.1))}, [y], STEP)
    assert float(found.factors["a"]) == float(found.shares["a"]) == 0.0
    torch.testing.assert_close(found.gradients[0], torch.ones(4))
    found = balance(silent, {"a": (loud, Weight(share=0.1)), "b": (loud, Weight(fixed=2.0))}, [y], STEP)
    assert float(found.factors["a"]) == float(found.shares["b"]) == 0.0
    torch.testing.assert_close(found.gradients[0], torch.full((4,), 2.0))


def test_a_term_that_reaches_nothing_is_left_out():
    y = torch.randn(4, requires_grad=True)
    found = balance(y.sum(), {"a": (torch.tensor(3.0), Weight(share=0.1))}, [y], STEP)
    assert float(found.shares["a"]) == 0.0


def test_bf16_leaves_have_the_factors_of_fp32():
    torch.manual_seed(2)
    y = torch.randn(64, 8)

    def factor(dtype: torch.dtype) -> float:
        leaf = y.to(dtype).requires_grad_()
        output = Output((Stage(points=leaf, heatmaps=leaf),))
        found = balance(
            supervised(output).float(), {"a": (second_term(output).float(), Weight(share=0.2))}, [leaf], STEP
        )
        assert found.gradients[0].dtype == dtype
        return float(found.factors["a"])

    assert factor(torch.bfloat16) == pytest.approx(factor(torch.float32), rel=0.01)
