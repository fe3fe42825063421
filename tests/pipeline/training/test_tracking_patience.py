"""Calls of a server that is away are made again until it answers; refusals are not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from mlflow.exceptions import MlflowException

from pipeline.training.tracking_patience import PatientClient, is_away


def unreachable(message: str = "refused") -> MlflowException:
    """As MLflow's client raises it: the reason is what was being handled."""
    error = MlflowException(f"API request failed with exception {message}")
    error.__context__ = requests.exceptions.ConnectionError(message)
    return error


def failing(*errors: Exception) -> tuple[Callable[..., str], list[Any]]:
    """A call that fails so, one time after the other, and then answers; and what it was called with."""
    waiting, calls = list(errors), []

    def call(*arguments: Any, **options: Any) -> str:
        calls.append((arguments, options))
        if waiting:
            raise waiting.pop(0)
        return "answer"

    return call, calls


def patient(patience_s: float = 60.0, **calls: Any) -> PatientClient:
    return PatientClient(SimpleNamespace(**calls), "http://mlflow", patience_s, period_s=0.001)


def test_a_call_is_made_again_as_it_was_and_the_wait_is_told_once(caplog):
    call, calls = failing(*(unreachable() for _ in range(5)))
    with caplog.at_level(logging.WARNING, logger="landmarks.tracking"):
        assert patient(log_batch=call).log_batch("run", metrics=[1]) == "answer"
    assert calls == 6 * [(("run",), {"metrics": [1]})]
    away, back = (record.getMessage() for record in caplog.records)
    assert away == "http://mlflow does not answer: what is to be logged waits for it, at most 1 min"
    assert back == "http://mlflow answers again"


def test_a_refusal_is_final():
    call, calls = failing(MlflowException("no such run"))
    with pytest.raises(MlflowException, match="no such run"):
        patient(get_run=call).get_run("run")
    assert len(calls) == 1


def test_after_the_patience_calls_fail_at_once_until_one_succeeds():
    call, calls = failing(*(unreachable() for _ in range(3)))
    client = patient(patience_s=-1.0, log_batch=call)
    for count in (1, 2, 3):
        with pytest.raises(MlflowException, match="refused"):
            client.log_batch()
        assert len(calls) == count
    assert client.log_batch() == "answer"


def test_what_is_no_call_is_passed_on():
    assert patient(tracking_uri="http://mlflow").tracking_uri == "http://mlflow"


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (unreachable(), True),
        (requests.exceptions.Timeout("slow"), True),
        (requests.exceptions.RetryError("too many 503 error responses"), True),
        (MlflowException("no such run"), False),
        (OSError("disk full"), False),
    ],
)
def test_only_a_server_that_cannot_be_reached_is_away(error, away):
    assert is_away(error) == away
