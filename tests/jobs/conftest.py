"""One Ray for all commands of a session, with a job server that asks for a token; and a proxy that loses connections."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


def clean_environment() -> dict[str, str]:
    """Of a process that knows of no cluster and of no settings but ours."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "LANDMARKS_", "MLFLOW_"))}
    return clean | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        # Ray is polite to whatever else a machine does; here, tests wait for its workers.
        "RAY_worker_niceness": "0",
    }


@dataclass(frozen=True)
class Landmarks:
    """The command line as a user's shell runs it.

    Attributes:
        environment: Of its processes.
    """

    environment: dict[str, str]

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen:
        """Start a command; output and errors come in one."""
        return subprocess.Popen(
            [sys.executable, "-m", "jobs.cli", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: str, code: int = 0, **options: Any) -> str:
        """Run to the end; returns what it printed."""
        process = self.start(*arguments, **options)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == code, output
        return output

    def kill_when(self, condition: Callable[[], bool], *arguments: str, timeout_s: float = 600) -> None:
        """Start a command, and kill -9 it and all it started as soon as a condition holds."""
        process = self.start(*arguments)
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            if member.is_running():
                member.kill()
        process.communicate()


@dataclass(frozen=True)
class JobCluster:
    """One node with a job server.

    Attributes:
        address: http://… of the job server.
        ray: Address of the cluster itself, for who joins it.
        token: What both ask for.
        environment: Of a process that may use the job server.
        head: Id of the process that started it.
    """

    address: str
    ray: str
    token: str
    environment: dict[str, str]
    head: int

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


# Ends with its standard input: with the tests' process, however that ends.
HEAD = """
import json, sys
from jobs.cluster.local import local_ray
with local_ray(2, dashboard=True, worker_logs=False):
    import ray
    from ray._private.utils import write_ray_address
    from ray._private.worker import get_dashboard_url
    # As "ray start" does: jobs ask this file which of several clusters on one machine is theirs.
    write_ray_address(ray.get_runtime_context().gcs_address)
    addresses = {"ray": ray.get_runtime_context().gcs_address, "jobs": f"http://{get_dashboard_url()}"}
    print(json.dumps(addresses), flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="session")
def job_cluster() -> Iterator[JobCluster]:
    """Two cores, shared by all commands that are not killed: what a killed one leaves behind would be in the others' way."""
    token, clean = secrets.token_hex(16), clean_environment()
    # Sockets lie in it, and their paths may not be long.
    folder = tempfile.mkdtemp(prefix="lm", dir="/tmp")
    log = Path(folder) / "start.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD],
            env=clean | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_TMPDIR": folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        said = process.stdout.readline()  # type: ignore[union-attr]
        assert said, log.read_text()
        addresses = json.loads(said)
        yield JobCluster(
            addresses["jobs"], addresses["ray"], token, clean | {"RAY_AUTH_TOKEN": token}, process.pid
        )
    finally:
        _end(process, folder)


def _end(process: subprocess.Popen, folder: str) -> None:
    """Let it end; then kill what is left of it: the starter's children, and what names the cluster's own folder."""

    def ours() -> set[psutil.Process]:
        found = set()
        for candidate in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if folder in " ".join(candidate.cmdline()) or folder in candidate.environ().get(
                    "RAY_TMPDIR", ""
                ):
                    found.add(candidate)
        return found

    family = ours()
    with contextlib.suppress(psutil.NoSuchProcess):
        family.update(psutil.Process(process.pid).children(recursive=True))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=20)
    for member in family | ours():
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def landmarks(job_cluster: JobCluster) -> Landmarks:
    """The command line, on the session's cluster."""
    joined = {
        "RAY_ADDRESS": job_cluster.ray,
        "RAY_AUTH_MODE": "token",
        # Without it Ray would look for 127.0.0.1 at the machine's own address.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    }
    return Landmarks(job_cluster.environment | joined)


@pytest.fixture(scope="session")
def lone_landmarks() -> Landmarks:
    """The command line with no cluster to join: it starts a Ray of its own, which may be killed with it."""
    return Landmarks(clean_environment())


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command line in this process, for commands that start nothing; returns what it printed."""
    import ray

    from jobs import cli

    def started(*_: Any, **__: Any) -> None:
        raise AssertionError("Ray was started")

    monkeypatch.setattr(ray, "init", started)

    def give(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["landmarks", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = "".join(capsys.readouterr())
        assert (ended.value.code or 0) == code, printed
        return printed

    return give


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
