"""A watch over workers that wait for each other: one that hangs (a dead mount, a stuck driver) stops all of them for good.

A collective has no word for who is missing. Each worker's watch signs a list in the process group's store when nothing has
happened for too long; who has not signed some seconds later is the one that hangs.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any

_GRACE_S = 10.0


class Liveness:
    """Tells when no worker makes progress and one of them does not even answer; runs in a thread of its own.

    Args:
        store: torch's key-value store of the group; held by rank 0.
        rank: Of this worker.
        world_size: Of all.
        timeout_s: Seconds without progress that are too many.
        hang: Told, once, who hangs.
        grace_s: Seconds that a worker has to answer.
    """

    def __init__(
        self,
        store: Any,
        rank: int,
        world_size: int,
        timeout_s: float,
        hang: Callable[[str], None],
        grace_s: float = _GRACE_S,
    ) -> None:
        self._store, self._rank, self._world_size = store.clone(), rank, world_size
        # A store whose holder hangs answers nobody.
        self._store.set_timeout(timedelta(seconds=grace_s))
        self._timeout_s, self._hang, self._grace_s = timeout_s, hang, grace_s
        self._period_s = min(timeout_s / 10, 5.0)
        self._latest, self._signed = time.monotonic(), False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="liveness", daemon=True)

    def __enter__(self) -> Liveness:
        if self._world_size > 1:
            self._store.set(self._key("place", self._rank), f"{socket.gethostname()}, process {os.getpid()}")
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._world_size > 1 and kind is None:
            # Whoever is done answers for ever; if worker 0 is, too, nobody asks.
            with suppress(RuntimeError):
                self._store.set(self._key("alive", self._rank), "done")

    def beat(self) -> None:
        """Something has happened."""
        self._latest = time.monotonic()

    def _watch(self) -> None:
        while not self._over.wait(self._period_s):
            stalled = time.monotonic() - self._latest > self._timeout_s
            said = f"no worker has made progress for {self._timeout_s:,.0f} s"
            try:
                if stalled and (missing := self._missing()):
                    names = "; ".join(map(self._named, missing))
                    self._hang(
                        f"{said}, and of {self._world_size} these do not answer: {names}. Look at that machine"
                    )
                    return
                if not stalled and self._signed:
                    self._store.delete_key(self._key("alive", self._rank))
                    self._signed = False
            except RuntimeError:  # torch's, of a store that does not answer
                if not self._over.is_set():
                    self._hang(
                        f"{said}, and worker 0, which all others meet at, does not answer. Look at its machine"
                    )
                return

    def _missing(self) -> list[int]:
        self._store.set(self._key("alive", self._rank), "here")
        self._signed = True
        others = [rank for rank in range(self._world_size) if rank != self._rank]
        # Another's last progress may be a little younger, and its watch looks up once a period.
        deadline = time.monotonic() + 2 * self._period_s + self._grace_s
        while time.monotonic() < deadline:
            silent = [rank for rank in others if not self._store.check([self._key("alive", rank)])]
            if not silent or self._over.wait(0.1):
                return []
        return silent

    def _named(self, rank: int) -> str:
        key = self._key("place", rank)
        place = f" ({self._store.get(key).decode()})" if self._store.check([key]) else ""
        return f"worker {rank}{place}"

    @staticmethod
    def _key(kind: str, rank: int) -> str:
        return f"landmarks/{kind}/{rank}"
