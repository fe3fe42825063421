"""torch's compiler: for a generator in training that asks for it, and kept out of processes that compile nothing.

Discriminators stay eager: a compiled network has no second derivatives, which a penalty on gradients takes, and theirs is the
smaller part of a step.

Every ``Optimizer.step`` imports torch._dynamo, and with it inductor and SymPy, to tell a compiler that is not there to look away:
more CPU time than importing torch itself, in the driver and again in every worker. What optimizers ask of it does nothing outside
of a compiled function, so it is answered here; anything else imports the real thing first.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from pipeline.errors import TrainingError

_NAME = "torch._dynamo"


class _Idle(ModuleType):
    """Stands for torch._dynamo until more than nothing is asked of it."""

    @staticmethod
    def graph_break(*_: Any, **__: Any) -> None:
        """No graph, no break."""

    @staticmethod
    def disable(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
        """The function itself, or a decorator that gives it back."""
        return function if function is not None else lambda decorated: decorated

    def __getattr__(self, name: str) -> Any:
        # ``inspect`` asks every module for its file, in the middle of others' imports; only an import asks for the path.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(importlib.import_module(_NAME), name)


def leave_compiler_out() -> None:
    """Keep torch._dynamo from being imported until somebody compiles; does nothing where it is imported already."""
    sys.modules.setdefault(_NAME, _Idle(_NAME))


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Compile what a network does when it is called, in place: parameters and buffers keep their names, its copies are eager.

    Args:
        network: On its device. Its first call compiles; another size of batch compiles again.
        device: Of the network.

    Raises:
        TrainingError: There is no compiler for the device.
    """
    missing = _missing_compiler(device)
    if missing:
        raise TrainingError(
            f"training.compile: {missing}; install it on every node that trains, or set training.compile=false"
        )
    network.compile()


def _missing_compiler(device: torch.device) -> str | None:
    """What torch's inductor would miss, in words."""
    if device.type != "cpu":
        from torch.utils._triton import has_triton

        return None if has_triton() else f"no Triton that works with {device}"
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:  # inductor raises classes of its own, from wherever it looked
        return f"no C++ compiler ({type(error).__name__}; the environment's CXX names one)"
    return None
