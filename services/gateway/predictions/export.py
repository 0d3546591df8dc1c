"""The audit as CSV, passed through from PostgreSQL's COPY: nothing of it is kept here, whatever its size."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.gateway.predictions.contracts import Contract
from services.gateway.predictions.search.repository import Filter, exported
from services.kit.errors import Unavailable
from services.kit.postgres import Connection

MEDIA = "text/csv; charset=utf-8; header=present"
AT_ONCE = 2
"""Each takes a connection, and time of the process that predictions are waiting for as well."""
PIECE = 256 * 1024


class Exports:
    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        """A connection of its own for each, in autocommit mode and with time."""
        self._connect = connect
        self._under_way = 0

    async def begin(self, wanted: Filter, contract: Contract | None) -> "Answer":
        """The first piece is there when this returns, so that what is wrong is still told as a problem. Raises Unavailable."""
        if self._under_way >= AT_ONCE:
            raise Unavailable(f"{AT_ONCE} exports are under way; try again when one of them has ended.", retry_after=5)
        self._under_way += 1
        pieces = self._pieces(wanted, contract)
        try:
            first = await anext(pieces)
        except BaseException:
            await pieces.aclose()
            raise
        return Answer(first, pieces, f"{wanted.model or 'predictions'}.csv")

    async def _pieces(self, wanted: Filter, contract: Contract | None) -> AsyncGenerator[bytes]:
        try:
            async with AsyncExitStack() as stack:
                connection = await stack.enter_async_context(await self._connect())
                await connection.execute("SET jit = off")
                cursor = await stack.enter_async_context(connection.cursor())
                copy = await stack.enter_async_context(cursor.copy(exported(wanted, contract), wanted.parameters()))
                kept, size = [], 0
                async for row in copy:
                    kept.append(row)
                    size += len(row)
                    if size >= PIECE:
                        yield b"".join(kept)
                        kept, size = [], 0
                        await asyncio.sleep(0)  # others want to be answered too
                yield b"".join(kept)
        finally:
            self._under_way -= 1


class Answer(StreamingResponse):
    """Ends the export when the caller has gone, be it before the first piece."""

    def __init__(self, first: bytes, others: AsyncGenerator[bytes], name: str) -> None:
        self._others = others
        super().__init__(self._all(first), media_type=MEDIA, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    async def _all(self, first: bytes) -> AsyncGenerator[bytes]:
        yield first
        async for piece in self._others:
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._others.aclose()
