"""Control, as the scorer in the shadow talks to it: one connection, one call at a time, nothing but the standard library."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

SECONDS = 30.0
CONFLICT = 409


class Away(Exception):
    """Worth another try later."""


class NotOurs(Exception):
    """Another replica scores for this version, or it is not tried any more."""


class Upstream:
    def __init__(self, url: str, token: str, model: str) -> None:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "localhost", parts.port, timeout=SECONDS)
        self._base, self._model = parts.path.rstrip("/"), model
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, body: dict[str, Any]) -> bytes:
        """Raises Away or NotOurs."""
        try:
            return self._asked("POST", path, json.dumps(body, allow_nan=False)).read()
        except (OSError, HTTPException) as error:
            raise self._lost(error) from None

    def lines(self, path: str) -> Iterator[bytes]:
        """Raises as `post` does, also between two lines."""
        try:
            yield from self._asked("GET", path)
        except (OSError, HTTPException) as error:
            raise self._lost(error) from None

    def _asked(self, method: str, path: str, body: str | None = None) -> HTTPResponse:
        self._connection.request(method, f"{self._base}/shadow/{self._model}/{path}", body, self._headers)
        answer = self._connection.getresponse()
        if answer.status < 300:
            return answer
        words = answer.read()[:300].decode(errors="replace")
        raise (NotOurs if answer.status == CONFLICT else Away)(f"{method} {path}: {answer.status} {words}")

    def _lost(self, error: Exception) -> Away:
        self._connection.close()
        return Away(f"{type(error).__name__}: {error}")
