"""Following against a server that misbehaves on purpose: what is printed, and what the exit code is."""

from __future__ import annotations

import asyncio
import json
import signal
from types import SimpleNamespace

import pytest
from ray.job_submission import JobStatus

from jobs.submission import following
from jobs.submission.client import UnreachableError
from jobs.submission.following import INTERRUPTED, LOG_STARTS, Follower, exit_code, log_starts, stop
from pipeline.errors import ClusterError


def details(status: str, **fields) -> SimpleNamespace:
    given = {"metadata": {}, "message": None, "driver_exit_code": None, "driver_node_id": "n1"}
    return SimpleNamespace(**{**given, "status": JobStatus(status), **fields})


class Server:
    """Answers from lists, each answer once, the last for ever; an exception is raised."""

    address = shown = "http://head:8265"

    def __init__(self, states, streams=(), log=""):
        self.states, self.streams, self.log = list(states), list(streams), log
        self.stops = []

    @staticmethod
    def _next(answers):
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def info(self, _):
        return self._next(self.states)

    known = info

    def logs(self, _):
        return self.log

    def stop(self, _):
        return self._next(self.stops)

    async def tail(self, _):
        for piece in self.streams.pop(0) if self.streams else []:
            if isinstance(piece, Exception):
                raise piece
            yield piece


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(following.time, "sleep", lambda _: None)


def test_the_status_decides_not_the_end_of_the_stream(capsys):
    running, over = (
        details("RUNNING"),
        details("FAILED", driver_exit_code=3, message="m, last available logs"),
    )
    streams = [["one\n", "two\n"], [RuntimeError("WebSocket closed")], ["one\n", "two\nth", "ree\n"]]
    server = Server([running] * 7 + [over], streams, "one\ntwo\nthree\nfour\n")
    assert Follower(server, "j").follow() == 3
    out = capsys.readouterr()
    assert out.out == "one\ntwo\nthree\nfour\n"
    assert "the log stream ended" in out.err
    assert "the log stream broke (WebSocket closed)" in out.err
    assert "j: FAILED, exit code 3" in out.err


def test_without_streams_the_log_is_fetched(capsys):
    states = [details("RUNNING")] * 12 + [details("SUCCEEDED", driver_exit_code=0)]
    server = Server(states, [[OSError("no WebSocket here")]] * 9, "all of it\n")
    assert Follower(server, "j").follow() == 0
    assert capsys.readouterr().out == "all of it\n"


def test_what_earlier_jobs_of_the_id_printed_is_left_out(capsys):
    metadata = {LOG_STARTS: json.dumps({"n1": len("old ü\n")})}
    states = [details("RUNNING", metadata=metadata)] * 3 + [details("SUCCEEDED", metadata=metadata)]
    assert Follower(Server(states, [["ol", "d ü\nne", "w\n"]], "old ü\nnew\n"), "j").follow() == 0
    assert capsys.readouterr().out == "new\n"
    # On another node the log file is another, too.
    states = [details("SUCCEEDED", metadata=metadata, driver_node_id="n2")]
    assert Follower(Server(states, [], "new\n"), "j").follow() == 0
    assert capsys.readouterr().out == "new\n"
    for broken in ({}, {LOG_STARTS: "x"}, {LOG_STARTS: "[1]"}, None):
        assert log_starts(details("SUCCEEDED", metadata=broken)) == {}


def test_a_server_that_is_away_for_a_while(capsys, monkeypatch):
    away = UnreachableError("no job server answers")
    assert (
        Follower(Server([details("RUNNING"), away, away, details("SUCCEEDED")], [["a"]], "a"), "j").follow()
        == 0
    )
    assert "no job server answers" in capsys.readouterr().err
    monkeypatch.setattr(following, "_GIVE_UP_S", -1.0)
    with pytest.raises(ClusterError, match="landmarks jobs follow j"):
        Follower(Server([away]), "j").follow()
    with pytest.raises(ClusterError, match="does not know job j any more"):
        Follower(Server([details("RUNNING"), None]), "j").follow()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 2, 2),
        ("FAILED", None, 1),
        ("FAILED", 0, 1),
        ("FAILED", -9, 137),
        ("STOPPED", None, INTERRUPTED),
    ],
)
def test_exit_codes(status, code, expected):
    assert exit_code(details(status, driver_exit_code=code)) == expected


def test_stopping_asks_until_somebody_listens():
    server = Server([details("PENDING")] * 3 + [details("STOPPED")])
    server.stops = [False, True, AssertionError("asked again")]
    assert stop(server, "j").status is JobStatus.STOPPED


def test_a_job_that_does_not_stop(monkeypatch):
    server = Server([details("RUNNING")])
    server.stops = [True]
    clock = iter(range(0, 1000, 50))
    monkeypatch.setattr(following.time, "monotonic", lambda: next(clock))
    with pytest.raises(ClusterError, match="still RUNNING"):
        stop(server, "j")


class Talking(Server):
    """Prints a line in the very turn of the event loop in which Ctrl-C comes."""

    lines = 0

    async def tail(self, _):
        while self.lines < 50:
            self.lines += 1
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
            await asyncio.sleep(0)
            yield "a line\n"
        raise AssertionError("fifty times Ctrl-C, and nobody heard")


@pytest.mark.timeout(60)
def test_ctrl_c_is_heard_though_a_line_comes_with_it(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    server = Talking([details("RUNNING")])
    assert Follower(server, "x").follow() == INTERRUPTED
    assert server.lines == 1
    assert "detached; job x goes on" in capsys.readouterr().err


class Breaking(Server):
    """Breaks when it is closed while Ctrl-C is on its way."""

    opened = 0

    async def tail(self, _):
        self.opened += 1
        assert self.opened < 50, "fifty times Ctrl-C, and nobody heard"
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.sleep(30)
            yield "never"
        finally:
            raise RuntimeError("the connection cannot be closed")


@pytest.mark.timeout(60)
def test_ctrl_c_is_heard_though_the_connection_breaks_with_it(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    monkeypatch.setattr(following, "_BACKOFF_S", (0.0,))
    server = Breaking([details("RUNNING")])
    assert Follower(server, "x").follow() == INTERRUPTED
    assert server.opened == 1
    assert "detached; job x goes on" in capsys.readouterr().err
