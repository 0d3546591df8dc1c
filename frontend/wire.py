"""HTTP to the gateway: one pool of connections for the process, every failure a GatewayError."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpx

from frontend import problems
from frontend.settings import settings


class Wire:
    def __init__(self, base: str, seconds: float) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=15)
        self._client = httpx.Client(base_url=base, timeout=httpx.Timeout(seconds, connect=3.0), limits=limits, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def send(self, method: str, path: str, *, also: int = 200, **options: Any) -> httpx.Response:
        """Raises GatewayError for an answer of 400 or more that is not `also`, and when there is none."""
        try:
            answer = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise problems.of_failure(error) from None
        if answer.is_error and answer.status_code != also:
            raise problems.of_answer(answer)
        return answer

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """An answer that is read piece by piece. Raises as `send`."""
        try:
            with self._client.stream(method, path, **options) as answer:
                if answer.is_error:
                    answer.read()
                    raise problems.of_answer(answer)
                yield answer
        except httpx.HTTPError as error:
            raise problems.of_failure(error) from None

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Raises GatewayError also when the answer is no JSON object."""
        answer = self.send(method, path, **options)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise problems.Away("The gateway's answer could not be read: is something else at its address?", answer.status_code)
        return found


@cache
def wire() -> Wire:
    return Wire(settings().gateway_url, settings().gateway_seconds)
