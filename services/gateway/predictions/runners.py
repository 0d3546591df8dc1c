"""The hop to the runners. Rows that arrive while the allowed calls are under way travel together in the next one."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from services.kit.errors import BadGateway, BadRequest, GatewayTimeout, Invalid, Problem, TooManyRequests, Unavailable

log = logging.getLogger(__name__)

MOST_ROWS = 256
"""Rows of different requests in one call."""
MOST_WAITING = 4096
HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Scored:
    """A runner's answer for some rows, all from the same version and policy."""

    version: str
    policy: int | None
    scores: list[float]
    answers: list[dict[str, Any]]

    def part(self, position: int) -> "Scored":
        return Scored(self.version, self.policy, self.scores[position : position + 1], self.answers[position : position + 1])


class Runner:
    """One model's."""

    def __init__(self, session: aiohttp.ClientSession, model: str, url: str, *, timeout: float, calls: int) -> None:
        self._session = session
        self._model = model
        self.url = url
        self._seconds = timeout
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._calls = calls
        self._under_way = 0
        self._waiting: deque[tuple[bytes, asyncio.Future[Scored]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def one(self, row: bytes) -> Scored:
        """One row, at once or with others. Raises a Problem: what the runner said, or that it is away or too slow."""
        if self._under_way < self._calls:
            self._under_way += 1
            try:
                return await self.many([row])
            finally:
                self._under_way -= 1
                self._go_on()
        if len(self._waiting) >= MOST_WAITING:
            raise TooManyRequests(f"Too many rows wait for {self._model}; try again.", headers={"Retry-After": "1"})
        future: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        try:
            async with asyncio.timeout(self._seconds):
                return await future
        except TimeoutError:
            raise self._too_slow() from None

    async def many(self, rows: list[bytes]) -> Scored:
        """One call with just these rows."""
        body = b'{"rows":[' + b",".join(rows) + b"]}"
        try:
            status, headers, content = await self._post(body)
        except TimeoutError:
            raise self._too_slow() from None
        except aiohttp.ClientError as error:
            log.warning("a runner is away", extra={"model": self._model, "error": str(error)})
            raise Unavailable(f"The runner of {self._model} cannot be reached; try again.") from None
        if status != 200:
            raise self._problem(status, headers, content)
        try:
            answer = orjson.loads(content)
            scored = Scored(str(answer["version"]), answer["policy_version"], answer["scores"], answer["answers"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise BadGateway(f"The runner of {self._model} gave an answer that is not understood.") from None
        if not len(scored.scores) == len(scored.answers) == len(rows):
            raise BadGateway(f"The runner of {self._model} answered {len(scored.answers)} of {len(rows)} rows.")
        return scored

    async def _post(self, body: bytes) -> tuple[int, Any, bytes]:
        """Asks again once when the connection broke: an idle one may have been closed just then, and scoring changes nothing."""
        for last in (False, True):
            try:
                async with self._session.post(f"{self.url}/rows", data=body, headers=HEADERS, timeout=self._timeout) as response:
                    return response.status, response.headers, await response.read()
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError) as error:
                if last or isinstance(error, aiohttp.ClientConnectorError | aiohttp.ServerTimeoutError):
                    raise
        raise AssertionError("unreachable")

    def _go_on(self) -> None:
        while self._waiting and self._under_way < self._calls:
            group = [self._waiting.popleft() for _ in range(min(MOST_ROWS, len(self._waiting)))]
            group = [entry for entry in group if not entry[1].done()]
            if group:
                self._under_way += 1
                task = asyncio.create_task(self._together(group))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _together(self, group: list[tuple[bytes, asyncio.Future[Scored]]]) -> None:
        try:
            scored = await self.many([row for row, _ in group])
            for position, (_, future) in enumerate(group):
                if not future.done():
                    future.set_result(scored.part(position))
        except (Invalid, BadRequest) as problem:
            # One row was refused: each is asked for alone, so that only its own caller hears of it.
            await self._alone(group) if len(group) > 1 else self._tell(group, problem)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            self._tell(group, error)
        finally:
            self._under_way -= 1
            self._go_on()

    async def _alone(self, group: list[tuple[bytes, asyncio.Future[Scored]]]) -> None:
        for row, future in group:
            try:
                scored = await self.many([row])
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                self._tell([(row, future)], error)
            else:
                if not future.done():
                    future.set_result(scored)

    def _tell(self, group: list[tuple[bytes, asyncio.Future[Scored]]], error: Exception) -> None:
        for _, future in group:
            if not future.done():
                future.set_exception(error)

    def _too_slow(self) -> Problem:
        return GatewayTimeout(f"The runner of {self._model} did not answer within {self._seconds:g} s.")

    def _problem(self, status: int, headers: Any, content: bytes) -> Problem:
        """The runner's own words where they are for the client."""
        try:
            said = orjson.loads(content)
            detail, errors = str(said["detail"]), said.get("errors")
        except (orjson.JSONDecodeError, KeyError, TypeError):
            detail, errors = "", None
        wait = headers.get("Retry-After", "1")
        match status:
            case 429:
                return TooManyRequests(detail or f"The runner of {self._model} is busy; try again.", headers={"Retry-After": wait})
            case 503:
                return Unavailable(detail or f"The runner of {self._model} is not ready; try again.", retry_after=int(wait) if wait.isdigit() else 1)
            case 422:
                return Invalid(detail or "The runner refused the row.", errors=errors)
            case 400:
                return BadRequest(detail or "The runner refused the row.", errors=errors)
        log.error("a runner answered with an error", extra={"model": self._model, "status": status, "detail": detail})
        return BadGateway(f"The runner of {self._model} answered with an error ({status}).")


Runners = Mapping[str, Runner]
"""By model."""
