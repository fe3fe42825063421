"""torch's compiler, kept out of processes that compile nothing.

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
