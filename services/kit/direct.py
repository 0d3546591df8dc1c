"""Copying by libpq's own functions. psycopg's cursors cost 115 µs a statement, which for a small group of rows is more than PostgreSQL itself takes."""

import asyncio

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
        await wire.flush()
        result = await wire.result()
        if result is not None and result.status == ExecStatus.COPY_IN:
            connection.pgconn.put_copy_data(content)
            connection.pgconn.put_copy_end()
            await wire.flush()
            result = await wire.result()
        while await wire.result() is not None:
            pass
        if connection.pgconn.status == ConnStatus.BAD:
            raise OperationalError("the connection is lost")
        if result is not None and result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)
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
