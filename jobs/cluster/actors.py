"""Work in pieces on actors that hold what is costly to load: each takes one piece after the other."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from jobs.cluster.fit import readable
from jobs.cluster.fleet import search_path


class Worker(Protocol):
    """What is made in an actor's process."""

    def work(self, piece: int, /) -> Any:
        """Do one piece."""


class _Actor:
    def __init__(self, make: type[Worker], arguments: tuple[Any, ...], path: list[str]) -> None:
        import torch

        sys.path[:0] = [p for p in path if p not in sys.path]  # a model may be of the user's own
        torch.set_num_threads(1)  # an actor has one core
        torch.set_flush_denormal(True)  # see pipeline.training.engines
        self._worker = make(*arguments)

    def work(self, piece: int) -> Any:
        return self._worker.work(piece)


def on_actors(
    make: type[Worker],
    arguments: tuple[Any, ...],
    pieces: Sequence[int],
    *,
    gpu: bool,
    limit: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """Do all pieces; needs a connection to Ray.

    Args:
        make: Class of the workers, each made once in a process of its own.
        arguments: Of its constructor.
        pieces: To be done, in any order.
        gpu: Give each actor a GPU; without, a core.
        limit: Actors at most; None takes what the cluster has.

    Yields:
        A piece and its result, as they are finished.

    Raises:
        LandmarkError: What a user can act on.
    """
    import ray

    total = int(ray.cluster_resources().get("GPU" if gpu else "CPU", 1))
    count = min(max(total, 1), len(pieces), limit or len(pieces))
    resources: dict[str, Any] = {"num_cpus": 1, "num_gpus": 1 if gpu else 0}
    remote: Any = ray.remote(**resources)(_Actor)
    path = search_path()
    actors = [remote.remote(make, arguments, path) for _ in range(count)]
    waiting = list(pieces)
    pending: dict[Any, Any] = {}
    try:
        while waiting or pending:
            while waiting and actors:
                actor, piece = actors.pop(), waiting.pop(0)
                pending[actor.work.remote(piece)] = actor, piece
            done, _ = ray.wait(list(pending), num_returns=1)
            actor, piece = pending.pop(done[0])
            actors.append(actor)
            yield piece, ray.get(done[0])
    except ray.exceptions.RayError as error:
        raise readable(error) from error
    finally:
        for actor in (*actors, *(actor for actor, _ in pending.values())):
            ray.kill(actor)
