"""The gateway's view of control: what it answers is passed on, what it refuses is refused in its words."""

import logging
from typing import Any

import aiohttp
import orjson

from services.kit import errors
from services.kit.errors import BadGateway, GatewayTimeout, Problem, Unavailable

log = logging.getLogger(__name__)

SECONDS = 10.0
FILE_SECONDS = 70.0
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

    async def change(self, method: str, path: str, body: dict[str, Any], *, seconds: float = SECONDS) -> Any:
        return await self._ask(method, path, seconds, json=body, headers=self._headers)

    async def text(self, path: str) -> str:
        status, content = await self._exchange("GET", path, SECONDS)
        return content.decode(errors="replace") if status < 300 else self._understood(status, content)

    async def content(self, path: str) -> bytes:
        """A file, of which there is not more than a part's."""
        status, content = await self._exchange("GET", path, FILE_SECONDS, headers=self._headers)
        if status >= 300:
            self._understood(status, content)
        return content

    async def _ask(self, method: str, path: str, seconds: float = SECONDS, **more: Any) -> Any:
        return self._understood(*await self._exchange(method, path, seconds, **more))

    async def _exchange(self, method: str, path: str, seconds: float, **more: Any) -> tuple[int, bytes]:
        """Raises Unavailable, or GatewayTimeout when control answers too late."""
        try:
            async with self._session.request(method, self.url + path, timeout=aiohttp.ClientTimeout(total=seconds, connect=SECONDS), **more) as response:
                return response.status, await response.read()
        except aiohttp.ClientError as error:
            log.warning("control is away", extra={"error": str(error) or type(error).__name__})
            raise Unavailable("Control cannot be reached, so nothing of it can be looked up or changed now; predictions go on.", retry_after=5) from None
        except TimeoutError:
            log.warning("control is slow", extra={"path": path, "seconds": seconds})
            raise GatewayTimeout(f"Control has not answered within {seconds:.0f} s; look again whether it has done what was asked.") from None

    def _understood(self, status: int, content: bytes) -> Any:
        """Raises the Problem that control told of."""
        try:
            answer = orjson.loads(content) if content else None
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
