"""An object store on this machine that fails when told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class FlakyStore:
    """An S3 server on loopback that can be told to fail.

    Attributes:
        failures: Answers of status 500 to be given before the next true one.
        asked: Requests so far, as "METHOD path".
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.failures, self.asked = 0, []
        self._true = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _answer(self, environ: dict, start_response: Callable) -> Iterator[bytes]:
        self.asked.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if self.failures > 0:
            self.failures -= 1
            start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
            return iter([b"<Error><Code>InternalError</Code><Message>busy</Message></Error>"])
        return self._true(environ, start_response)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[FlakyStore]:
    """A server for the session; tests ask for ``s3``."""
    server = FlakyStore()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: FlakyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlakyStore]:
    """The server with an empty bucket ``faces``, found by whoever uses s3://; its client does not repeat by itself."""
    import s3fs

    from pipeline import object_store

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "LANDMARKS_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(object_store, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("faces")
    s3_server.asked.clear()
    yield s3_server
    s3_server.failures = 0
    store.rm("faces", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
