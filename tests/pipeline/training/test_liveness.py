"""Workers watch each other through torch's own store; here each is a thread, or is not there."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import timedelta

import pytest
from torch.distributed import TCPStore

from pipeline.training.liveness import Liveness

LONG = 30.0


@pytest.fixture
def store() -> TCPStore:
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def wait_for(condition) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def watch(store, rank, hang, timeout_s=0.3) -> Liveness:
    return Liveness(store, rank, 3, timeout_s, hang, grace_s=0.2)


def test_who_does_not_answer_is_named_with_its_place(store):
    heard = []
    store.set("landmarks/place/1", "node-b, process 7")
    with watch(store, 0, heard.append), watch(store, 2, heard.append):
        wait_for(lambda: len(heard) == 2)
    assert all("no worker has made progress for 0 s" in said for said in heard)
    assert all("do not answer: worker 1 (node-b, process 7)." in said for said in heard)


def test_who_waits_together_only_waits(store):
    heard = []
    with ExitStack() as watches:
        for rank in range(3):
            watches.enter_context(watch(store, rank, heard.append))
        wait_for(lambda: all(store.check([f"landmarks/alive/{rank}"]) for rank in range(3)))
        time.sleep(1.0)
    assert heard == []


def test_who_makes_progress_asks_nobody_and_takes_back_what_it_signed(store):
    heard = []
    with watch(store, 0, heard.append, timeout_s=1.0) as first:
        store.set("landmarks/alive/1", "done")
        store.set("landmarks/alive/2", "done")
        wait_for(lambda: store.check(["landmarks/alive/0"]))
        wait_for(lambda: first.beat() or not store.check(["landmarks/alive/0"]))
    assert heard == []


def test_who_is_done_answers_for_ever(store):
    heard = []
    for rank in (1, 2):
        with watch(store, rank, heard.append):
            pass
    with watch(store, 0, heard.append):
        time.sleep(1.0)
    assert heard == []


HOLDER = """
import sys
from torch.distributed import TCPStore
held = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
print(held.port, flush=True)
sys.stdin.read()
"""


def test_a_store_that_nobody_holds_any_more_is_worker_0():
    heard: list[str] = []
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER], text=True, **pipes) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        client = TCPStore("127.0.0.1", port, is_master=False, timeout=timedelta(seconds=LONG))
        with Liveness(client, 1, 2, 0.5, heard.append, grace_s=0.5):
            holder.kill()
            wait_for(lambda: heard)
            with pytest.raises(RuntimeError):
                client.get("anything")
    assert "worker 0, which all others meet at, does not answer" in heard[0]


def test_one_worker_watches_nobody(store):
    heard = []
    with Liveness(store, 0, 1, 0.1, heard.append, grace_s=0.1):
        time.sleep(0.5)
    assert heard == []
    assert not store.check(["landmarks/place/0"])
