"""The owner's note on a folder: one process at a time works in it, on a local disk as in an object store.

A note says who: host, process, when it began; the owner renews it. What a killed process leaves is taken over with a word: at
once where the process can be seen to be gone, on this host, and from another host after watching the note go without a renewal.
The watching, not the clocks of two hosts, tells what is stale.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
from pydantic import ValidationError

from pipeline.errors import OwnedError, StorageError
from pipeline.storage import is_local, local_path, read_text, remove, write_text
from pipeline.strict import Strict

NOTE = "owner.json"
BEAT_S = 10.0
"""Between two renewals of a note."""
STALE_S = 60.0
"""Without a renewal for so long, an owner on another host is taken for dead."""
_CERTAIN_S = 3600.0  # by the clock: no two hosts' differ by so much, and nobody need watch
_SETTLE_S = 1.0  # where nothing locks, as in an object store: who wrote last shows after a while
_SAME_START_S = 1.0  # a process's start is told in clock ticks


class Owner(Strict):
    """A note: who works in a folder."""

    host: str
    machine: str
    """Where ``pid`` means something: the boot of a kernel and its process namespace; containers may share a host's name."""
    pid: int
    started: float
    """Of the process, seconds since 1970: a later process may have its id."""
    since: float
    """Of the work."""
    beat: float
    """Last renewal."""
    token: str
    """Of this piece of work."""

    def __str__(self) -> str:
        began = datetime.fromtimestamp(self.since, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        return f"process {self.pid} on {self.host}, since {began}"


@contextmanager
def owned(
    folder: str, what: str, remedy: str, say: Callable[[str], None] = print, *, stale_s: float = STALE_S
) -> Iterator[None]:
    """Own a folder while the block runs.

    Args:
        folder: Local path or URL; made where it is missing, and removed again where nothing else came into it.
        what: Is done there, for messages, e.g. "run 'a'".
        remedy: What else a user can do than wait.
        say: Takes the word about a note that is taken over.
        stale_s: Seconds without a renewal after which an owner on another host is taken for dead.

    Raises:
        OwnedError: Somebody works there.
        StorageError: The folder cannot be written.
    """
    url = f"{folder.rstrip('/')}/{NOTE}"
    mine = _take(url, what, remedy, say, stale_s)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(url, mine, stop, say, what), name="owner", daemon=True)
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join(timeout=30)
        if (now := _read(url)) is not None and now.token == mine.token:
            remove(url)
            if is_local(folder):
                with suppress(OSError):  # something came into it, which is what it is for
                    local_path(folder).rmdir()


def _take(url: str, what: str, remedy: str, say: Callable[[str], None], stale_s: float) -> Owner:
    process = psutil.Process()
    now = time.time()
    mine = Owner(
        host=socket.gethostname(),
        machine=_machine(),
        pid=process.pid,
        started=process.create_time(),
        since=now,
        beat=now,
        token=uuid.uuid4().hex,
    )
    before = _read(url)
    if before is not None and not _gone(url, before, stale_s):
        raise _refusal(url, before, what, remedy)
    with _one_at_a_time(url) as alone:
        # Between a look and a word somebody else may have come.
        if (now_there := _read(url)) is not None and (before is None or now_there.token != before.token):
            raise _refusal(url, now_there, what, remedy)
        write_text(url, mine.model_dump_json())
        if not alone:
            time.sleep(_SETTLE_S)
    held = _read(url)
    if held is None or held.token != mine.token:
        raise _refusal(url, held, what, remedy)
    if before is not None:
        say(f"{what}: taken over from {before}, which is gone")
    return mine


def _refusal(url: str, owner: Owner | None, what: str, remedy: str) -> OwnedError:
    return OwnedError(
        f"{what} is worked on already, by {owner or 'somebody'}: wait for it or stop it, or {remedy} ({url})"
    )


def _gone(url: str, owner: Owner, stale_s: float) -> bool:
    """Whether an owner is dead. Takes ``stale_s`` where only its silence can tell, and less where it speaks."""
    if owner.machine == _machine():
        with suppress(psutil.Error):
            process = psutil.Process(owner.pid)
            zombie = process.status() == psutil.STATUS_ZOMBIE
            return zombie or abs(process.create_time() - owner.started) > _SAME_START_S
        return True
    if time.time() - owner.beat > max(_CERTAIN_S, stale_s):
        return True
    deadline = time.monotonic() + stale_s
    while time.monotonic() < deadline:
        time.sleep(min(1.0, stale_s / 10))
        now = _read(url)
        if now is None:
            return True
        if (now.token, now.beat) != (owner.token, owner.beat):
            return False
    return True


def _beat(url: str, mine: Owner, stop: threading.Event, say: Callable[[str], None], what: str) -> None:
    while not stop.wait(BEAT_S):
        try:
            now = _read(url)
            if now is not None and now.token != mine.token:
                say(
                    f"{what}: {now} has taken it over; this process must have stood still. Stop one of the two"
                )
                return
            write_text(url, mine.model_copy(update={"beat": time.time()}).model_dump_json())
        except (StorageError, OSError):
            continue  # a store that is away for a moment; the work itself will say so if it stays away


def _read(url: str) -> Owner | None:
    """The note, if one is there; one that is no note is as good as none: notes are written whole."""
    text = read_text(url)
    if text is None:
        return None
    try:
        return Owner.model_validate(json.loads(text))
    except (ValidationError, ValueError):
        return None


@contextmanager
def _one_at_a_time(url: str) -> Iterator[bool]:
    """Whether nobody else is in such a block for this note: that a disk can promise, by a lock on the folder itself."""
    if not is_local(url):
        yield False
        return
    folder = local_path(url).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot write: {error.strerror or error}; choose a writable folder"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a network file system that locks no folders
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _machine() -> str:
    """Where a process id means something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux: a host's name is all there is
        return socket.gethostname()
