"""Storing by libpq's own functions. psycopg's cursors cost 115 µs a statement, which for a small group of rows is more than PostgreSQL itself takes."""

import asyncio
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from psycopg import OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from services.kit.postgres import Connection


async def copy_in(connection: Connection, statement: bytes, content: bytes) -> None:
    """Raises what psycopg would. After a cancellation the connection is good for nothing but closing; meanwhile nobody else may use it."""
    wire = _Wire(connection.pgconn)
    try:
        connection.pgconn.send_query(statement)
        result = await wire.answer()
        if result is not None and result.status == ExecStatus.COPY_IN:
            connection.pgconn.put_copy_data(content)
            connection.pgconn.put_copy_end()
            result = await wire.answer()
        await wire.end(result)
    finally:
        wire.close()


_prepared: WeakKeyDictionary[Connection, dict[bytes, bytes]] = WeakKeyDictionary()
"""The names of the statements that a connection knows."""


async def execute(connection: Connection, statement: bytes, values: Sequence[bytes | None]) -> None:
    """One round trip, where copying takes two. The connection prepares the statement at its first time. `values` are in binary form. Raises as `copy_in`."""
    names = _prepared.setdefault(connection, {})
    wire = _Wire(connection.pgconn)
    try:
        if statement not in names:
            name = b"direct-%d" % len(names)
            connection.pgconn.send_prepare(name, statement)
            await wire.end(await wire.answer())
            names[statement] = name
        connection.pgconn.send_query_prepared(names[statement], values, [1] * len(values))
        await wire.end(await wire.answer())
    finally:
        wire.close()


class _Wire:
    """A connection's socket in the event loop, for one statement."""

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._loop = asyncio.get_running_loop()
        self._socket = pgconn.socket
        self._waiting: asyncio.Future[None] | None = None
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)

    async def answer(self) -> PGresult | None:
        """The first result of what was sent."""
        await self.flush()
        return await self.result()

    async def end(self, result: PGresult | None) -> None:
        """Makes the connection ready for the next statement. Raises what is wrong with the result."""
        while await self.result() is not None:
            pass
        if self._pgconn.status == ConnStatus.BAD:
            raise OperationalError("the connection is lost")
        if result is not None and result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)

    async def result(self) -> PGresult | None:
        while self._pgconn.is_busy():
            self._waiting = self._loop.create_future()
            await self._waiting
        return self._pgconn.get_result()

    async def flush(self) -> None:
        while self._pgconn.flush():
            self._waiting = self._loop.create_future()
            self._loop.add_writer(self._socket, self._wake)
            try:
                await self._waiting
            finally:
                self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        """Also while something is written: the server may wait until its notices are read."""
        try:
            self._pgconn.consume_input()
        except OperationalError as error:
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_exception(error)
        else:
            if not self._pgconn.is_busy():
                self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
