"""A step costs no compiler, has the same result, and whoever compiles gets torch's own."""

import os
import subprocess
import sys

import pytest

_STEP = """
import sys, torch
{first}
weight = torch.nn.Parameter(torch.arange(4.0))
optimizer = torch.optim.Adam([weight], lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    weight.square().sum().backward()
    optimizer.step()
optimizer.load_state_dict(optimizer.state_dict())
print("torch._inductor" in sys.modules, weight.tolist())
"""
_LEAVE = "from pipeline.training.compiler import leave_compiler_out; leave_compiler_out()"
_COMPILE = """
print(torch.compile(lambda x: 2 * x, backend="eager")(torch.ones(2)).tolist())
import torch._dynamo.testing
print(type(torch._dynamo).__name__, torch._dynamo.testing.__name__)
optimizer.step()
"""


def output(code: str, environment: dict[str, str] | None = None) -> list[str]:
    changed = os.environ | (environment or {})
    done = subprocess.run(
        [sys.executable, "-c", code], env=changed, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_step_without_the_compiler_is_the_step_with_it():
    (with_it,) = output(_STEP.format(first=""))
    without, doubled, names = output(_STEP.format(first=_LEAVE) + _COMPILE)
    assert (with_it.split()[0], without.split()[0]) == ("True", "False")
    assert with_it.removeprefix("True") == without.removeprefix("False")
    assert doubled == "[2.0, 2.0]"
    assert names == "module torch._dynamo.testing"


def test_whoever_looks_through_all_modules_does_not_import_the_compiler():
    """``inspect`` does, in the middle of the import of torch's own operators."""
    code = f"{_LEAVE}\nimport inspect, sys\ninspect.getmodule(lambda: 0)\nprint(type(sys.modules['torch._dynamo']).__name__)"
    code += "\nimport torch.distributed.tensor"
    assert output(code) == ["_Idle"]


_NETWORK = """
import copy, torch
from pipeline.training.compiler import compile_network, leave_compiler_out
leave_compiler_out()
eager = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
compiled = copy.deepcopy(eager)
compile_network(compiled, torch.device("cpu"))
images = torch.rand(2, 3, 8, 8)
for network in (eager, compiled):
    network(images).square().mean().backward()
for one, other in zip(eager.parameters(), compiled.parameters(), strict=True):
    torch.testing.assert_close(one.grad, other.grad)
assert list(eager.state_dict()) == list(compiled.state_dict())
torch.testing.assert_close(eager.state_dict(), compiled.state_dict())
print(compiled._compiled_call_impl is not None, copy.deepcopy(compiled)._compiled_call_impl)
"""


@pytest.mark.slow  # imports inductor, and compiles
def test_a_compiled_network_keeps_its_names_and_its_copies_are_eager():
    assert output(_NETWORK) == ["True None"]


def test_a_missing_compiler_is_named_with_its_remedy():
    code = """
import torch
from pipeline.errors import TrainingError
from pipeline.training.compiler import compile_network
try:
    compile_network(torch.nn.Linear(2, 2), torch.device("cpu"))
except TrainingError as error:
    print(error)
"""
    missing = {"CXX": "/nowhere/g++", "PATH": "/nowhere"}
    (line,) = output(code, missing)
    assert "training.compile: no C++ compiler" in line
    assert "training.compile=false" in line
