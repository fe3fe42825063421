"""The cluster's job server: where it is, and its answers as this project's errors."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from jobs.submission.secrets import scrub, without_credentials
from pipeline.errors import ClusterError, did_you_mean

ADDRESS_VARIABLE = "RAY_API_SERVER_ADDRESS"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TIMEOUT = (10, 60)
"""Seconds to connect and between bytes; Ray's client has none and would wait on a silent server for ever."""
_UPLOAD_TIMEOUT = (10, 600)
_MODE = "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN=… (or RAY_AUTH_TOKEN_PATH=FILE)"
AnswerT = TypeVar("AnswerT")


class UnreachableError(ClusterError):
    """The server does not answer, or only with an error of its own: worth another try."""


@contextmanager
def environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Environment variables within the block; None removes one."""
    before = {name: os.environ.get(name) for name in changes}
    try:
        _set(changes)
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def find_address(option: str | None) -> str:
    """Address of the job server: the option, ``RAY_API_SERVER_ADDRESS``, or ``RAY_ADDRESS`` where it is one.

    Raises:
        ClusterError: None is given, or what is given cannot be a job server's.
    """
    address = option or os.environ.get(ADDRESS_VARIABLE, "")
    if not address:
        other = os.environ.get("RAY_ADDRESS", "")
        if other.startswith(("http://", "https://")):
            address = other
        else:
            known = f" (RAY_ADDRESS={scrub(other)} is the cluster's own address, not it)" if other else ""
            raise ClusterError(
                f"where is the cluster's job server{known}? Give --address http://HEAD:8265, or set {ADDRESS_VARIABLE}; on "
                "Kubernetes: kubectl port-forward service/NAME-head-svc 8265, then --address http://127.0.0.1:8265"
            )
    if "://" not in address:
        address = f"http://{address}"
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ClusterError(
            f"address {without_credentials(address)}: not a job server's; it looks like http://HEAD:8265"
        )
    return address.rstrip("/")


def is_loopback(address: str) -> bool:
    """Whether an address leads to this machine (or to a tunnel that begins on it)."""
    return urlsplit(address).hostname in LOOPBACK


def offer_token() -> None:
    """Have Ray use a token that is set; it would ignore it without the mode, which it reads once, when it is imported.

    Raises:
        ClusterError: The token's file does not exist.
    """
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if path and not os.environ.get("RAY_AUTH_TOKEN") and not Path(path).is_file():
        raise ClusterError(f"RAY_AUTH_TOKEN_PATH = {path}: no such file; it holds the cluster's token")
    if path or os.environ.get("RAY_AUTH_TOKEN"):
        os.environ.setdefault("RAY_AUTH_MODE", "token")


class JobServer:
    """Ray's job server.

    Args:
        address: Of the server; see ``find_address``.

    Raises:
        ClusterError: It does not answer, refuses the token, or is none.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.shown = without_credentials(address)
        offer_token()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray
        from ray.job_submission import JobSubmissionClient

        class Client(JobSubmissionClient):
            def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
                options.setdefault("timeout", _UPLOAD_TIMEOUT if method == "PUT" else _TIMEOUT)
                return super()._do_request(method, endpoint, **options)

        for noisy in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        # Ray lets the environment override the argument; what was asked for is what is meant.
        with environment({ADDRESS_VARIABLE: address}):
            self._client = self._ask(lambda: Client(address))
        self.version = str(getattr(self._client, "_server_ray_version", None) or "?")
        self.client_version = str(ray.__version__)

    def info(self, job_id: str) -> Any | None:
        """A job's ``JobDetails``, or None where the cluster knows no such job."""
        return self._ask(lambda: self._client.get_job_info(job_id), absent_is_none=True)

    def known(self, job_id: str) -> Any:
        """A job's ``JobDetails``.

        Raises:
            ClusterError: No such job; the message names near ones.
        """
        info = self.info(job_id)
        if info is not None:
            return info
        ids = [job.submission_id or job.job_id for job in self.jobs()]
        raise ClusterError(
            f"no job '{job_id}' on {self.shown}: {did_you_mean(job_id, ids)}'landmarks jobs list' shows all there are"
        )

    def jobs(self) -> list[Any]:
        """All jobs the cluster remembers."""
        return list(self._ask(self._client.list_jobs))

    def submit(self, **request: Any) -> None:
        """Ray's ``submit_job``: uploads the package and starts the job."""
        self._ask(lambda: self._client.submit_job(**request))

    def stop(self, job_id: str) -> bool:
        """Ask a job to stop; False if there was nothing to ask yet, or any more."""
        return bool(self._ask(lambda: self._client.stop_job(job_id)))

    def delete(self, job_id: str) -> None:
        """Forget a job that is over."""
        self._ask(lambda: self._client.delete_job(job_id))

    def logs(self, job_id: str) -> str:
        """All a job has printed."""
        return str(self._ask(lambda: self._client.get_job_logs(job_id)))

    def tail(self, job_id: str) -> AsyncIterator[str]:
        """A job's output from its beginning, piece by piece; may end, or fail with anything, at any time."""
        stream: AsyncIterator[str] = self._client.tail_job_logs(job_id)
        return stream

    def _ask(self, question: Callable[[], AnswerT], absent_is_none: bool = False) -> AnswerT:
        import requests
        from ray.exceptions import AuthenticationError

        try:
            return question()
        except AuthenticationError as error:
            if "Authentication failed" in str(error):
                text = f"{self.shown} refuses this token: give the cluster's own, {_MODE}"
            else:
                text = f"{self.shown} asks for a token: set {_MODE}"
            raise ClusterError(text) from None  # the cause may hold what the client sent
        except requests.exceptions.HTTPError as error:
            code = error.response.status_code if error.response is not None else 0
            kind = UnreachableError if code >= 500 else ClusterError
            raise kind(f"{self.shown} answers {code}: is it the address of Ray's job server?") from None
        except requests.exceptions.InvalidHeader:
            raise ClusterError(
                "Ray's token holds a line break or a space at its end; correct RAY_AUTH_TOKEN or the file of RAY_AUTH_TOKEN_PATH"
            ) from None
        except requests.exceptions.JSONDecodeError:
            raise ClusterError(f"{self.shown} is no job server of Ray's: its answer is not JSON") from None
        except (requests.exceptions.RequestException, ConnectionError) as error:
            raise UnreachableError(
                f"no job server answers at {self.shown} ({_reason(error)}): is the cluster up, is the port-forward open, was Ray "
                "installed as ray[default]?"
            ) from None
        except RuntimeError as error:
            return self._explain(error, absent_is_none)

    def _explain(self, error: RuntimeError, absent_is_none: bool) -> Any:
        text = scrub(str(error))
        found = re.search(r"status code (\d{3})", text)
        code = int(found.group(1)) if found else 0
        if code == 404 and absent_is_none:
            return None
        last = text.strip().splitlines()[-1] if text.strip() else type(error).__name__
        if "Version check returned 404" in text:
            raise ClusterError(
                f"{self.shown} is no job server of Ray's, or of a Ray older than 1.9"
            ) from None
        # A proxy's 502 to 504 passes; the server's own 500 carries a trace that names the reason.
        kind = UnreachableError if code in {502, 503, 504} else ClusterError
        raise kind(f"{self.shown}: {last}") from None


def _reason(error: Exception) -> str:
    text = str(error).lower()
    for sign, reason in (
        ("refused", "connection refused"),
        ("timed out", "timed out"),
        ("name or service not known", "no such host"),
        ("failed to resolve", "no such host"),
        ("certificate", "its certificate is not trusted"),
        ("failed to connect", "no connection"),
    ):
        if sign in text:
            return reason
    return type(error).__name__


def command(server: JobServer, verb: str, job_id: str) -> str:
    """What a user types to see to a job."""
    known = os.environ.get(ADDRESS_VARIABLE, "").rstrip("/") == server.address
    return f"landmarks jobs {verb} {job_id}" + ("" if known else f" --address {server.shown}")
