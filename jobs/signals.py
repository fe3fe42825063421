"""How a command ends when it is told to: by an exception, so that locks are given back, MLflow hears of it, and Ray stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TERMINATED = 128 + signal.SIGTERM
"""Exit code after SIGTERM, as a shell's."""

_told: list[int] = []


def heed_sigterm() -> None:
    """Have SIGTERM, which Kubernetes and batch systems send, raise ``KeyboardInterrupt`` as Ctrl-C does; a second one kills.

    Python's own answer is to die on the spot. Ray's, which it puts in place whenever it starts, is to exit with 15 or 1. And no
    other exception comes out of ``ray.get`` as it went in.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _told.append(number)
    raise KeyboardInterrupt


@contextmanager
def exit_code_of_signals() -> Iterator[None]:
    """Around a whole command: after SIGTERM it exits with ``TERMINATED``, whatever it exits with by itself."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        # While Ray starts, the handler is Ray's, which exits with the signal's bare number.
        if _told or getattr(end, "code", None) == signal.SIGTERM:
            raise SystemExit(TERMINATED) from end
        raise


@contextmanager
def ray_train_signals() -> Iterator[None]:
    """Around Ray Train's ``fit``: Ctrl-C is a ``KeyboardInterrupt``, as elsewhere, and so it is afterwards.

    Ray Train puts a handler of its own in place, for good: it ends the workers in order and then the process, with 0 or 1; and
    of a training that is long over it asks a process that is long gone.
    """
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if main else None
    try:
        yield
    except SystemExit as end:
        raise KeyboardInterrupt from end
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
