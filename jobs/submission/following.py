"""Following a job: its log as it grows, through lost connections, until its **status** says that it is over."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from contextlib import aclosing
from typing import Any, cast

from jobs.submission.client import JobServer, UnreachableError, command
from jobs.submission.secrets import scrub
from pipeline.errors import ClusterError

INTERRUPTED = 130
"""Exit code, as a shell's after Ctrl-C: the job was stopped, or left to itself, so it did not succeed."""

LOG_STARTS = "landmarks.log_starts"
"""Metadata key: JSON, node id → characters that earlier jobs of the same id left in the log file on that node."""

_BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_SILENCE_S = 60.0
"""After this long without a word the connection is opened anew: one that died in silence looks the same."""
_GIVE_UP_S = 900.0
_FRUITLESS = 3
_POLL_S = 1.0
_STOP_S = 90.0


def note(text: str) -> None:
    """A line of our own, apart from the job's output."""
    print(f"landmarks: {text}", file=sys.stderr, flush=True)


def log_starts(info: Any) -> dict[str, int]:
    """Where this job's part of each node's log file begins; earlier jobs of the same id wrote what is before."""
    try:
        return {str(k): int(v) for k, v in json.loads((info.metadata or {})[LOG_STARTS]).items()}
    except (KeyError, ValueError, AttributeError, TypeError):
        return {}  # the first of its id, or somebody else's


class Follower:
    """Prints a job's log to its end.

    Args:
        server: Of the job.
        job_id: Submission id.
    """

    def __init__(self, server: JobServer, job_id: str) -> None:
        self._server, self._id = server, job_id
        self._seen: int | None = None
        self._status = ""
        self._failures = 0
        self._fruitless = 0

    def follow(self) -> int:
        """Until the job is over, or the user leaves it.

        Returns:
            The job's exit code: 0 only if its status is SUCCEEDED; ``INTERRUPTED`` if it was stopped or left.

        Raises:
            ClusterError: The server stays away, or has forgotten the job.
        """
        while True:
            try:
                return self._to_the_end()
            except KeyboardInterrupt:
                answer = self._ask()
                if answer == "d":
                    again = command(self._server, "follow", self._id)
                    note(f"detached; job {self._id} goes on. Follow it again with: {again}")
                    return INTERRUPTED
                if answer == "s":
                    note(f"stopping {self._id} …")
                    try:
                        stop(self._server, self._id)
                    except KeyboardInterrupt:
                        continue

    def _ask(self) -> str:
        if not sys.stdin.isatty():
            return "d"
        while True:
            try:
                print(
                    "\ndetach (the job goes on), stop the job, or keep following? [d/s/k] ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
                answer = sys.stdin.readline()
            except KeyboardInterrupt:
                return "d"
            if not answer:  # the terminal is gone
                return "d"
            if answer.strip().lower()[:1] in {"d", "s", "k"}:
                return answer.strip().lower()[0]

    def _to_the_end(self) -> int:
        while True:
            info = self._info()
            if info.status.is_terminal():
                return self._finish(info)
            before = self._seen
            problem = asyncio.run(self._stream())
            self._fruitless = 0 if self._seen != before else self._fruitless + (problem is not None)
            if self._fruitless >= _FRUITLESS:
                # Some proxies carry no WebSocket, and no stream carries a line of megabytes.
                self._print_rest()
            if problem is not None and not self._info().status.is_terminal():
                self._wait(problem, min(self._fruitless, len(_BACKOFF_S) - 1))

    def _wait(self, problem: str, step: int) -> None:
        delay = _BACKOFF_S[step]
        note(f"{problem}; the job is {self._status or 'there'}, connecting again in {delay:g} s")
        time.sleep(delay)

    def _info(self) -> Any:
        since = time.monotonic()
        for attempt in itertools.count():
            try:
                info = self._server.info(self._id)
                break
            except UnreachableError as error:
                if time.monotonic() - since > _GIVE_UP_S:
                    raise ClusterError(
                        f"{error}; gave up after {_GIVE_UP_S / 60:.0f} minutes. The job may still run: "
                        f"{command(self._server, 'follow', self._id)}"
                    ) from error
                self._wait(str(error), min(attempt, len(_BACKOFF_S) - 1))
        if info is None:
            raise ClusterError(
                f"the cluster does not know job {self._id} any more: was it started anew? The same submit command resumes the run"
            )
        if info.status.value != self._status and not info.status.is_terminal():
            self._status = info.status.value
            note(f"{self._id}: {self._status}")
        if self._seen is None and info.driver_node_id:
            self._seen = log_starts(info).get(info.driver_node_id, 0)
        return info

    async def _stream(self) -> str | None:
        """Print what comes until the stream ends; why it ended, or None where nothing is wrong with it."""
        import aiohttp

        problem, position = None, 0
        try:
            async with aclosing(cast(Any, self._server.tail(self._id))) as pieces:
                while True:
                    # Not wait_for: where a piece and Ctrl-C come together, it returns the one and forgets the other.
                    async with asyncio.timeout(_SILENCE_S):
                        piece = await anext(pieces)
                    if self._seen is None:
                        self._info()
                    self._print(piece, position)
                    position += len(piece)
        except StopAsyncIteration:
            problem = "the log stream ended"
        except TimeoutError:
            pass  # nothing was said for a while
        except (RuntimeError, aiohttp.ClientError, OSError) as error:
            why = scrub(str(error)).splitlines()[0][:120] if str(error) else type(error).__name__
            problem = f"the log stream broke ({why})"
        # Ctrl-C cancels the task; what then goes wrong in closing the connection must not hide it.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        return problem

    def _print(self, text: str, position: int) -> None:
        """Print the part of a text that is new; ``position`` is where in the log it begins."""
        seen = self._seen or 0
        if position + len(text) <= seen:
            return
        sys.stdout.write(text[max(seen - position, 0) :])
        sys.stdout.flush()
        self._seen = position + len(text)

    def _print_rest(self) -> None:
        for _ in _BACKOFF_S:
            try:
                self._print(self._server.logs(self._id), 0)
                return
            except UnreachableError:
                time.sleep(_POLL_S)
            except ClusterError as error:
                # The node that kept the log is gone, say; the status is known all the same.
                note(f"the rest of the log cannot be had: {error}")
                return

    def _finish(self, info: Any) -> int:
        self._print_rest()
        code = exit_code(info)
        if info.status.value == "FAILED":
            # The log's last lines are repeated in the message; they have just been printed.
            message = scrub(str(info.message or "")).partition(", last available logs")[0]
            note(f"{self._id}: {message or 'no reason given'}")
        note(f"{self._id}: {info.status.value}, exit code {code}")
        return code


def exit_code(info: Any) -> int:
    """A finished job's exit code: 0 for SUCCEEDED, ``INTERRUPTED`` for STOPPED, else the driver's own, or 1 without one."""
    if info.status.value == "SUCCEEDED":
        return 0
    if info.status.value == "STOPPED":
        return INTERRUPTED
    code = info.driver_exit_code
    if not code:
        return 1
    return int(code) if code > 0 else 128 - int(code)  # ended by a signal


def stop(server: JobServer, job_id: str) -> Any:
    """Ask a job to stop and wait until it has.

    Returns:
        Its last ``JobDetails``.

    Raises:
        ClusterError: No such job, or it does not stop.
    """
    asked = False
    deadline = time.monotonic() + _STOP_S
    while time.monotonic() < deadline:
        info = server.known(job_id)
        if info.status.is_terminal():
            return info
        # A job whose supervisor is not up yet cannot be asked.
        asked = asked or server.stop(job_id)
        time.sleep(_POLL_S)
    raise ClusterError(
        f"job {job_id} was asked to stop {_STOP_S:.0f} s ago and is still {info.status.value}; ask again, or see its log: "
        f"{command(server, 'follow', job_id)}"
    )
