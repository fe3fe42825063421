"""The board of a run: a small actor where workers leave what the driver shows and tracks; they need no tracker, no terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

POLL_SECONDS = 0.5


class Board:
    """Holds events until the driver takes them."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._hung: dict[str, str] = {}

    def push(self, event: dict[str, Any]) -> None:
        """Add an event."""
        self._events.append(event)

    def take(self) -> list[dict[str, Any]]:
        """Take all events, oldest first."""
        events, self._events = self._events, []
        return events

    def begin(self, run: str) -> None:
        """The workers of a run have started, once more perhaps."""
        self._hung.pop(run, None)

    def hang(self, run: str, said: str) -> None:
        """A run's workers wait in vain; the first word of it stays."""
        self._hung.setdefault(run, said)

    def hung(self, run: str) -> str | None:
        """Why a run's workers gave up waiting, if they did."""
        return self._hung.get(run)


def new_board() -> Any:
    """A board actor's handle.

    It takes no CPU from the workers, and stays where this process is: a node whose workers can be replaced may be lost.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()


class Relay:
    """Hands a board's events to the driver, in a thread beside its blocking call.

    Args:
        board: Board actor.
        handle: Called with each event, in order, in the thread.
        tick: Called after every look at the board; ``True`` the last time.
    """

    def __init__(
        self, board: Any, handle: Callable[[dict[str, Any]], None], tick: Callable[[bool], None]
    ) -> None:
        self._board, self._handle, self._tick = board, handle, tick
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self.problem: Exception | None = None

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        # Whatever it waits for has an end of its own; what lies on the board must not be lost with it.
        self._thread.join()

    def drain(self) -> None:
        """Handle what lies on the board now; for the caller who has just seen a run end."""
        import ray

        # One at a time: events of a run must not overtake each other.
        with self._lock:
            try:
                events = ray.get(self._board.take.remote(), timeout=30)
            except Exception as error:  # the runs go on; their end reports the problem
                self.problem = error
                return
            for event in events:
                try:
                    self._handle(event)
                except Exception as error:  # one refused metric must not lose the events after it
                    self.problem = error

    def _run(self) -> None:
        while True:
            finished = self._stop.is_set()
            self.drain()
            try:
                self._tick(finished)
            except Exception as error:  # a screen that cannot be drawn on must not stop the tracking
                self.problem = error
            if finished:
                return
            self._stop.wait(POLL_SECONDS)
