"""Events reach the driver in order, whatever its handlers and its screen do; one small Ray, as boards are its actors."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from jobs.cluster.board import Board, Relay, new_board
from jobs.cluster.fit import hang_of
from jobs.cluster.monitor import Monitor, figures

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    import ray

    from jobs.cluster.session import ray_session

    with ray_session(cpus=1):
        yield ray


def put(ray: Any, board: Any, *events: Any) -> None:
    for event in events:
        ray.get(board.push.remote(event))


def idle(_finished: bool) -> None:
    """Nothing to draw."""


def test_a_board_gives_each_event_once_oldest_first():
    board = Board()
    assert board.take() == []
    for number in range(3):
        board.push({"n": number})
    assert [e["n"] for e in board.take()] == [0, 1, 2]
    board.push({"n": 3})
    assert [e["n"] for e in board.take()] == [3]


def test_order_is_kept_and_the_end_takes_what_is_left(ray):
    board, seen, ticks = new_board(), [], []
    put(ray, board, *({"n": n} for n in range(5)))
    with Relay(board, lambda event: seen.append(event["n"]), ticks.append) as relay:
        put(ray, board, *({"n": n} for n in range(5, 20)))
    assert seen == list(range(20))
    assert ticks[-1] is True
    assert not any(ticks[:-1])
    assert relay.problem is None


def test_one_refused_event_loses_none_after_it(ray):
    board, seen = new_board(), []

    def handle(event: dict[str, Any]) -> None:
        if event["n"] % 3 == 1:
            raise ValueError(f"refused {event['n']}")
        seen.append(event["n"])

    put(ray, board, *({"n": n} for n in range(9)))
    with Relay(board, handle, idle) as relay:
        put(ray, board, *({"n": n} for n in range(9, 12)))
    assert seen == [n for n in range(12) if n % 3 != 1]
    assert str(relay.problem) == "refused 10"


def test_a_screen_that_fails_stops_no_events(ray):
    board, seen = new_board(), []
    failed = threading.Event()

    def tick(_finished: bool) -> None:
        failed.set()
        raise OSError("broken pipe")

    with Relay(board, lambda event: seen.append(event["n"]), tick) as relay:
        assert failed.wait(60)
        put(ray, board, {"n": 1})
    assert seen == [1]
    assert str(relay.problem) == "broken pipe"


def test_drained_events_are_handled_before_the_call_returns(ray):
    board, seen = new_board(), []
    relay = Relay(
        board, lambda event: seen.append(event["n"]), idle
    )  # no thread: what is seen, drain brought
    put(ray, board, {"n": 1}, {"n": 2})
    relay.drain()
    assert seen == [1, 2]
    relay.drain()
    assert seen == [1, 2]


def test_a_lost_board_is_a_problem_and_not_the_end(ray):
    board = new_board()
    put(ray, board, {"n": 1})
    ray.kill(board)
    with Relay(board, lambda _event: None, idle) as relay:
        relay.drain()
    assert relay.problem is not None


class Recorder:
    """Stands for a tracker: keeps what it is told, and refuses one step."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.images: list[str] = []

    def metrics(self, values: dict[str, float], step: int) -> None:
        if step == 20:
            raise ValueError("refused 20")
        self.logged.append((step, values))

    def image(self, name: str, png: bytes) -> None:
        self.images.append(name)


def test_a_monitor_shows_and_tracks_what_workers_say(ray):
    board, tracker, out = new_board(), Recorder(), io.StringIO()
    events = [
        {"run": "toy", "place": "somewhere"},
        *({"step": s, "steps": 40, "metrics": {"train/loss": 40.0 / s}} for s in (10, 20, 30)),
        {"step": 40, "steps": 40, "metrics": {"validation/nme": 3.5}, "images": {"faces.png": b""}},
    ]
    with Monitor(board, tracker, "toy", Console(file=out, width=200)) as monitor:  # type: ignore[arg-type]
        put(ray, board, *events)
    expected = [(10, {"train/loss": 4.0}), (30, {"train/loss": 40 / 30}), (40, {"validation/nme": 3.5})]
    assert tracker.logged == expected
    assert tracker.images == ["images/step-0000040-faces.png"]
    assert str(monitor.problem) == "refused 20"
    assert "toy: 40/40 steps · loss 1.333 · val NME 3.50 % · " in out.getvalue()


def test_figures_of_a_run_that_has_said_nothing():
    assert figures({}) == "starting workers …"
    assert figures({"train/data_wait_share": 0.256, "other": 1.0}) == "data wait 26%"


def test_the_first_word_of_a_hang_stays_until_the_workers_start_again():
    board = Board()
    assert board.hung("a") is None
    board.hang("a", "worker 1 does not answer")
    board.hang("a", "nor does another")
    board.hang("b", "worker 0 does not answer")
    assert (board.hung("a"), board.hung("b")) == ("worker 1 does not answer", "worker 0 does not answer")
    board.begin("a")
    assert (board.hung("a"), board.hung("b")) == (None, "worker 0 does not answer")
    assert board.take() == []


def test_a_hang_is_asked_of_the_board_as_long_as_there_is_one(ray):
    board = new_board()
    ray.get(board.hang.remote("a", "worker 1 does not answer"))
    assert (hang_of(board, "a"), hang_of(board, "b")) == ("worker 1 does not answer", None)
    ray.kill(board)
    assert hang_of(board, "a") is None
