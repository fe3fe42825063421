"""Patience with a tracking server that is away: a restart or a network's hiccup costs a run no metric.

MLflow's own client asks again a few times, ever more seldom, and gives up after some minutes; what was to be logged is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

PATIENCE_S = 900.0
"""How long a server may be away; a run waits so long for it at its end, too."""
_PERIOD_S = 2.0
_log = logging.getLogger("landmarks.tracking")


class PatientClient:
    """MLflow's client, every call of which waits for a server that does not answer.

    Once ``patience_s`` are over, calls fail at once, until one succeeds: what is logged afterwards must not wait as long again.

    Args:
        client: MLflow's.
        uri: Where it tracks, for the word that is given while it waits.
        patience_s: Seconds.
        period_s: Between two attempts.
    """

    def __init__(
        self, client: Any, uri: str, patience_s: float = PATIENCE_S, period_s: float = _PERIOD_S
    ) -> None:
        self._client, self._uri, self._period_s, self._patience_s = client, uri, period_s, patience_s
        self._away_since: float | None = None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return partial(self._ask, found) if callable(found) else found

    def _ask(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        while True:
            try:
                answer = call(*arguments, **options)
            except Exception as error:
                if not is_away(error):
                    raise
                now = time.monotonic()
                if self._away_since is None:
                    self._away_since = now
                    _log.warning(
                        "%s does not answer: what is to be logged waits for it, at most %.0f min",
                        self._uri,
                        self._patience_s / 60,
                    )
                if now - self._away_since > self._patience_s:
                    raise
                time.sleep(self._period_s)
            else:
                if self._away_since is not None:
                    _log.warning("%s answers again", self._uri)
                self._away_since = None
                return answer


def is_away(error: BaseException) -> bool:
    """Whether a server could not be reached, or said itself that it is not ready; any other refusal is final."""
    import requests.exceptions as http

    away = (http.ConnectionError, http.Timeout, http.RetryError)
    return any(isinstance(cause, away) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
