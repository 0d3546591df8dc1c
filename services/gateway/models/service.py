"""The gateway's view of control: what it answers is passed on, what it refuses is refused in its words."""

import logging
from typing import Any

import aiohttp
import orjson

from services.kit import errors
from services.kit.errors import BadGateway, Problem, Unavailable

log = logging.getLogger(__name__)

SECONDS = 10.0
_PASSED_ON = {
    kind.status: kind for kind in (errors.BadRequest, errors.NotFound, errors.Conflict, errors.Invalid, errors.TooManyRequests, errors.GatewayTimeout)
}


class Control:
    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, **query: Any) -> Any:
        return await self._ask("GET", path, params={name: str(value) for name, value in query.items() if value is not None})

    async def change(self, method: str, path: str, body: dict[str, Any]) -> Any:
        return await self._ask(method, path, json=body, headers=self._headers)

    async def _ask(self, method: str, path: str, **more: Any) -> Any:
        """Raises a Problem."""
        try:
            async with self._session.request(method, self.url + path, timeout=aiohttp.ClientTimeout(total=SECONDS), **more) as response:
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("control is away", extra={"error": str(error) or type(error).__name__})
            raise Unavailable("Control cannot be reached, so models can be neither listed nor changed now; predictions go on.", retry_after=5) from None
        try:
            answer = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise BadGateway(f"Control gave an answer that is not understood ({status}).") from None
        if status < 300:
            return answer
        raise self._problem(status, answer)

    def _problem(self, status: int, answer: Any) -> Problem:
        said = answer if isinstance(answer, dict) else {}
        detail = str(said.get("detail", f"Control answered {status}."))
        if status == 503:
            return Unavailable(detail, retry_after=5)
        if kind := _PASSED_ON.get(status):
            known = ("type", "title", "status", "detail", "errors", "request_id")
            return kind(detail, errors=said.get("errors"), extra={name: value for name, value in said.items() if name not in known})
        log.error("control refused the gateway", extra={"status": status, "detail": detail})
        return BadGateway(f"Control refused the gateway ({status}): is GATEWAY_CONTROL_TOKEN the one that control has?")
