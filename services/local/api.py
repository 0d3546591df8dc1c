"""JSON over HTTP to the platform's own services, with the standard library: a command starts in a fraction of a second."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any, TypeVar

from services.local.failure import Failure

MOST_WAITS = 20
STREAM_SECONDS = 300.0
T = TypeVar("T")


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
    hint: str = "`modelyard status` shows what runs, `modelyard up` starts it"
    """What to do when nobody answers."""

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def text(self, path: str) -> str:
        """An answer that is no JSON. Raises like `send`."""

        def once() -> str:
            with self._open("GET", path, None, {}, 60) as response:
                return str(response.read().decode(errors="replace"))

        return self._patiently(once)

    def post(self, path: str, body: Any) -> Any:
        return self.send("POST", path, body)

    def send(self, method: str, path: str, body: Any = None, seconds: float = 60) -> Any:
        """Waits and tries again when it is told that it asks too often. Raises Refused, or Failure when nobody answers."""
        return self._patiently(lambda: self._once(method, path, body, seconds))

    def stream(self, path: str, body: IO[bytes], media: str, accept: str, into: IO[bytes]) -> Message:
        """Posts a file piece by piece, writes the answer into another, and returns its headers. Raises like `send`."""

        def once() -> Message:
            body.seek(0)
            headers = {"Content-Type": media, "Content-Length": str(os.fstat(body.fileno()).st_size), "Accept": accept}
            with self._open("POST", path, body, headers, STREAM_SECONDS) as response:
                shutil.copyfileobj(response, into)
                found: Message = response.headers
                return found

        return self._patiently(once)

    def download(self, path: str, into: IO[bytes]) -> None:
        """Raises like `send`."""

        def once() -> None:
            with self._open("GET", path, None, {}, STREAM_SECONDS) as response:
                shutil.copyfileobj(response, into)

        self._patiently(once)

    def _patiently(self, ask: Callable[[], T]) -> T:
        for _ in range(MOST_WAITS):
            try:
                return ask()
            except urllib.error.HTTPError as error:
                pause = error.headers.get("Retry-After", "")
                if error.code == 429 and pause.isdigit():
                    time.sleep(min(int(pause), 60))
                    continue
                raise _refusal(error) from None
            except (urllib.error.URLError, OSError) as error:
                reason = getattr(error, "reason", error)
                raise Failure(f"{self.name} at {self.url} does not answer ({reason})", self.hint) from None
        raise Failure(f"{self.name} is too busy: it asked {MOST_WAITS} times to come back later")

    def _once(self, method: str, path: str, body: Any, seconds: float) -> Any:
        headers = {"Accept": "application/json"}
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        with self._open(method, path, data, headers, seconds) as response:
            content = response.read()
        return json.loads(content) if content else None

    def _open(self, method: str, path: str, data: Any, headers: dict[str, str], seconds: float) -> Any:
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310 - our own addresses
        return urllib.request.urlopen(request, timeout=seconds)  # noqa: S310


def _refusal(error: urllib.error.HTTPError) -> Refused:
    try:
        problem = json.loads(error.read())
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    details = [f"{one.get('field')}: {one.get('rule')} (got {one.get('value')!r})" for one in problem.get("errors") or []]
    return Refused(error.code, str(problem.get("detail") or problem.get("title") or f"HTTP {error.code}"), details)
