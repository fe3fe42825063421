"""What stands between a command and a server, or a person: a proxy that loses connections, and a terminal to type at."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from clusters import JobCluster


class Proxy:
    """Passes connections on to a server, and breaks them when told."""

    def __init__(self, target: str) -> None:
        self._target = ("127.0.0.1", int(target.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: dict[tuple[socket.socket, socket.socket], float] = {}
        self._lock = threading.Lock()
        self._refuse_until = 0.0
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def streams(self) -> int:
        """Connections that have been open for longer than a question and its answer take."""
        with self._lock:
            return sum(time.monotonic() - since > 0.5 for since in self._open.values())

    def cut(self, refuse_s: float) -> None:
        """Break all connections, and refuse new ones for a while."""
        self._refuse_until = time.monotonic() + refuse_s
        with self._lock:
            broken, self._open = self._open, {}
        for pair in broken:
            self._shut(pair)

    def close(self) -> None:
        self._listener.close()
        self.cut(0)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if time.monotonic() < self._refuse_until:
                client.close()
                continue
            pair = (client, socket.create_connection(self._target))
            with self._lock:
                self._open[pair] = time.monotonic()
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock:
            self._open.pop(pair, None)
        self._shut(pair)

    @staticmethod
    def _shut(pair: tuple[socket.socket, socket.socket]) -> None:
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(job_cluster: JobCluster) -> Iterator[Proxy]:
    between = Proxy(job_cluster.address)
    yield between
    between.close()


class Terminal:
    """A process on a terminal of its own: it can be typed at, Ctrl-C included."""

    def __init__(self, *arguments: str, cwd: Path, env: dict[str, str]) -> None:
        import pty

        # The child's controlling terminal, so that \x03 becomes SIGINT as it does under anybody's fingers.
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(sys.executable, [sys.executable, "-m", "jobs.cli", *arguments], env)
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                self.output += data.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def expect(self, text: str, timeout_s: float = 400) -> None:
        """Wait until the text has been printed."""
        deadline = time.monotonic() + timeout_s
        while text not in self.output:
            assert time.monotonic() < deadline, f"{text!r} never came in:\n{self.output}"
            assert self.alive(), f"ended without {text!r}:\n{self.output}"
            time.sleep(0.05)

    def alive(self) -> bool:
        return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def wait(self, timeout_s: float = 400) -> int:
        """Exit code."""
        deadline = time.monotonic() + timeout_s
        while True:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self._reader.join(5)
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                os.kill(self.pid, 9)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"still running:\n{self.output}")
            time.sleep(0.05)


@pytest.fixture
def terminal() -> type[Terminal]:
    return Terminal
