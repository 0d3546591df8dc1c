"""JSON over HTTP to the platform's own services, with the standard library: a command starts in a fraction of a second."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from services.local.failure import Failure

MOST_WAITS = 20


class Refused(Failure):
    """The service answered, with an error."""

    def __init__(self, status: int, message: str, details: list[str]) -> None:
        super().__init__(message, details=details)
        self.status = status


@dataclass(frozen=True)
class Api:
    name: str
    url: str
    token: str | None = None

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.send("POST", path, body)

    def send(self, method: str, path: str, body: Any = None, seconds: float = 60) -> Any:
        """Waits and tries again when it is told that it asks too often. Raises Refused, or Failure when nobody answers."""
        for _ in range(MOST_WAITS):
            try:
                return self._once(method, path, body, seconds)
            except urllib.error.HTTPError as error:
                pause = error.headers.get("Retry-After", "")
                if error.code == 429 and pause.isdigit():
                    time.sleep(min(int(pause), 60))
                    continue
                raise _refusal(error) from None
            except (urllib.error.URLError, OSError) as error:
                reason = getattr(error, "reason", error)
                hint = "`modelyard status` shows what runs, `modelyard up` starts it"
                raise Failure(f"{self.name} at {self.url} does not answer ({reason})", hint) from None
        raise Failure(f"{self.name} is too busy: it asked {MOST_WAITS} times to come back later")

    def _once(self, method: str, path: str, body: Any, seconds: float) -> Any:
        headers = {"Accept": "application/json"}
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310 - our own addresses
        with urllib.request.urlopen(request, timeout=seconds) as response:  # noqa: S310
            content = response.read()
        return json.loads(content) if content else None


def _refusal(error: urllib.error.HTTPError) -> Refused:
    try:
        problem = json.loads(error.read())
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    details = [f"{one.get('field')}: {one.get('rule')} (got {one.get('value')!r})" for one in problem.get("errors") or []]
    return Refused(error.code, str(problem.get("detail") or problem.get("title") or f"HTTP {error.code}"), details)
