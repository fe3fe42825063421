"""A step costs no compiler, has the same result, and whoever compiles gets torch's own."""

import subprocess
import sys

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


def output(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
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
