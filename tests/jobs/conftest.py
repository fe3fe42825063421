"""A Ray cluster with a job server that asks for a token, and a proxy that loses connections."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest


@dataclass
class JobCluster:
    """One node with a job server.

    Attributes:
        address: http://… of the job server.
        token: What it asks for.
        environment: Of a process that may use it.
    """

    address: str
    token: str
    environment: dict[str, str]

    def client(self) -> Any:
        """Ray's own client."""
        from ray.job_submission import JobSubmissionClient

        return JobSubmissionClient(self.address, headers={"Authorization": f"Bearer {self.token}"})

    def landmarks(self, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
        """Run the command line; output and errors are kept apart."""
        return subprocess.run(
            [sys.executable, "-m", "jobs.cli", *arguments],
            cwd=cwd,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=400,
            stdin=subprocess.DEVNULL,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/api/version", timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code == 401  # it is up, and asks for the token
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def job_cluster() -> Iterator[JobCluster]:
    token, dashboard = secrets.token_hex(16), _free_port()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "LANDMARKS_", "MLFLOW_"))}
    root = str(Path(__file__).resolve().parents[2])
    clean |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
    }
    # Sockets lie in it, and their paths may not be long.
    folder = tempfile.mkdtemp(prefix="lm", dir="/tmp")
    log = Path(folder) / "start.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"),
                *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
                *("--node-ip-address=127.0.0.1", f"--port={_free_port()}"),
                *(f"--dashboard-agent-listen-port={_free_port()}", f"--temp-dir={folder}"),
                *(f"--object-store-memory={256 * 2**20}", "--disable-usage-stats"),
            ],
            env=clean | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{dashboard}"
        deadline = time.monotonic() + 120
        while not _answers(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield JobCluster(address, token, clean | {"RAY_AUTH_TOKEN": token})
    finally:
        _end(process, folder)


def _end(process: subprocess.Popen, folder: str) -> None:
    """Kill what belongs to this cluster: the starter's children, and what names the cluster's own folder."""

    def ours() -> list[psutil.Process]:
        found = []
        for candidate in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if folder in " ".join(candidate.cmdline()) or folder in candidate.environ().get(
                    "RAY_TMPDIR", ""
                ):
                    found.append(candidate)
        return found

    with contextlib.suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        children = [top, *top.children(recursive=True)]
        for child in {*children, *ours()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.wait()
    for straggler in ours():
        with contextlib.suppress(psutil.NoSuchProcess):
            straggler.kill()
    shutil.rmtree(folder, ignore_errors=True)


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

    def expect(self, text: str, timeout_s: float = 200) -> None:
        """Wait until the text has been printed."""
        deadline = time.monotonic() + timeout_s
        while text not in self.output:
            assert time.monotonic() < deadline, f"{text!r} never came in:\n{self.output}"
            assert self.alive(), f"ended without {text!r}:\n{self.output}"
            time.sleep(0.05)

    def alive(self) -> bool:
        return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def wait(self, timeout_s: float = 200) -> int:
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
