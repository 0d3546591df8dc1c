"""Draws a report in a process of its own: the gateway keeps its memory and its event loop, whatever stands in the document."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from services.gateway.confined import start
from services.kit.errors import Problem, TooManyRequests

log = logging.getLogger(__name__)

MEMORY = 320 * 1024 * 1024
"""Address space. reportlab takes a third of it."""
SECONDS = 10
"""Of computing; a report takes less than one."""
AT_ONCE, MOST_WAITING = 2, 8
PROGRAM = Path(__file__).with_name("__main__.py")


class Reports:
    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def draw(self, kind: str, document: dict[str, Any]) -> bytes:
        """The PDF. Raises TooManyRequests when too many wait already."""
        if self._waiting >= MOST_WAITING:
            raise TooManyRequests("Too many reports are being made; try again.", headers={"Retry-After": "2"})
        self._waiting += 1
        try:
            async with self._places:
                return await _drawn(orjson.dumps({"kind": kind, "document": document, "made_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}, default=str))
        finally:
            self._waiting -= 1


async def _drawn(asked: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *start.command(PROGRAM, MEMORY, SECONDS),
        env=start.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        drawn, words = await process.communicate(asked)
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode or not drawn.startswith(b"%PDF"):
        log.error("a report could not be drawn", extra={"code": process.returncode, "words": words.decode(errors="replace")[-1000:]})
        raise Problem("The report could not be made; the request id finds why in the gateway's log.")
    return drawn
