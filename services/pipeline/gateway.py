"""The gateway as the steps `predict` and `forecast` see it: what is answered is recorded."""

import logging
import time
from typing import Any

import httpx

from bentos.contract import BadData, Problem
from services.pipeline.failure import Failure, Final

log = logging.getLogger(__name__)

ATTEMPTS = 4
LONGEST_PAUSE = 20
BUSY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
KEYLESS = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})


class Gateway:
    def __init__(self, url: str, key: str, attempts: int = ATTEMPTS) -> None:
        """`attempts` while it is busy."""
        self._url, self._key, self._attempts = url, key, attempts
        self._client = httpx.Client(base_url=url, timeout=httpx.Timeout(90, connect=10))

    def close(self) -> None:
        self._client.close()

    def batch(self, model: str, rows: list[dict[str, Any]], key: str | None) -> dict[str, Any]:
        """The answer to all rows by one version. Raises BadData for rows that the model's schema refuses."""
        return self._ask("POST", f"/predict/{model}/batch", {"rows": rows}, key)

    def assets(self) -> list[str]:
        return [str(asset["symbol"]) for asset in self._ask("GET", "/crypto/assets")["assets"]]

    def forecast(self, asset: str, interval: int, key: str | None) -> dict[str, Any]:
        """Raises Failure, also while there are too few candles."""
        return self._ask("POST", f"/crypto/forecasts/{asset}?interval={interval}", None, key)

    def send(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Posts what is no JSON. Raises as `batch`."""
        return self._exchange("POST", path, {"content": body}, headers)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self._exchange(method, path, {"json": body}, {"Idempotency-Key": key} if key else {}).json()
        return found

    def _exchange(self, method: str, path: str, content: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        if not self._key:
            raise Final("PIPELINE_GATEWAY_KEY is not set: it is an API key of an account with the role analyst")
        headers = {"X-API-Key": self._key} | headers
        for attempt in range(1, self._attempts + 1):
            try:
                answer = self._client.request(method, path, headers=headers, **content)
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                raise Failure(f"the gateway does not answer at {self._url} ({reason}): is it running? PIPELINE_GATEWAY_URL names it") from error
            if answer.is_success:
                return answer
            if answer.status_code not in BUSY or attempt == self._attempts:
                break
            pause = min(int(answer.headers.get("Retry-After", "1")), LONGEST_PAUSE)
            log.info("the gateway is busy (%d); asking again in %d s", answer.status_code, pause)
            time.sleep(pause)
        raise _refusal(path, answer)


def _refusal(path: str, answer: httpx.Response) -> Exception:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY and problem.get("errors"):
        return BadData([Problem(one["field"], one["rule"]) for one in problem["errors"][:100]])
    words = f"the gateway refused {path} with {answer.status_code}: {problem.get('detail') or answer.text[:300]}"
    if answer.status_code in KEYLESS:
        return Final(f"{words}: PIPELINE_GATEWAY_KEY must be a key of an account with the role analyst")
    return Final(words) if answer.is_client_error and answer.status_code not in BUSY else Failure(words)
