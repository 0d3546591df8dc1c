"""Storing past psycopg's cursors raises what psycopg raises, and leaves the connection usable whenever psycopg would."""

import asyncio
import struct
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.errors import InvalidTextRepresentation, UndefinedTable, UniqueViolation

from services.kit import postgres
from services.kit.direct import copy_in, execute

COPY = b"COPY kept (number, words) FROM STDIN"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[postgres.Connection]:
    async with await postgres.connect(database_url, "cli", autocommit=True) as connection:
        await connection.execute("CREATE TABLE kept (number integer PRIMARY KEY, words text)")
        yield connection


async def kept(connection: postgres.Connection) -> list[tuple[object, ...]]:
    return await (await connection.execute("SELECT number, words FROM kept ORDER BY 1")).fetchall()


async def test_rows_are_there_on_return(connection: postgres.Connection) -> None:
    await copy_in(connection, COPY, b"1\tone\n2\ttwo\n")
    assert await kept(connection) == [(1, "one"), (2, "two")]


async def test_it_is_part_of_a_transaction_if_there_is_one(connection: postgres.Connection) -> None:
    async with connection.transaction() as transaction:
        await copy_in(connection, COPY, b"1\tone\n")
        raise psycopg.Rollback(transaction)
    assert await kept(connection) == []


async def test_what_postgresql_refuses_is_raised_and_the_connection_goes_on(connection: postgres.Connection) -> None:
    await copy_in(connection, COPY, b"1\tone\n")
    refused: list[tuple[bytes, bytes, type[psycopg.Error]]] = [
        (COPY, b"2\ttwo\n1\tagain\n", UniqueViolation),
        (COPY, b"x\ttwo\n", InvalidTextRepresentation),
        (b"COPY nothing FROM STDIN", b"", UndefinedTable),
    ]
    for statement, content, kind in refused:
        with pytest.raises(kind):
            await copy_in(connection, statement, content)
    await copy_in(connection, COPY, b"3\tthree\n")
    assert await kept(connection) == [(1, "one"), (3, "three")]


async def test_more_than_a_socket_holds(connection: postgres.Connection) -> None:
    words = b"w" * 1_000_000
    await copy_in(connection, COPY, b"".join(b"%d\t%s\n" % (number, words) for number in range(24)))
    cursor = await connection.execute("SELECT count(*), sum(length(words)) FROM kept")
    assert await cursor.fetchone() == (24, 24_000_000)


async def test_a_connection_that_breaks_is_an_operational_error(connection: postgres.Connection, database_url: str) -> None:
    async with await postgres.connect(database_url, "cli", autocommit=True) as other:
        await other.execute("BEGIN")
        await other.execute("LOCK TABLE kept IN EXCLUSIVE MODE")
        waiting = asyncio.create_task(copy_in(connection, COPY, b"1\tone\n"))
        await asyncio.sleep(0.1)
        await other.execute("SELECT pg_terminate_backend(%s, 1000)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            await waiting
    with pytest.raises(psycopg.OperationalError):
        await copy_in(connection, COPY, b"1\tone\n")


async def test_binary_copies_too(connection: postgres.Connection) -> None:
    row = struct.pack("!hiii", 2, 4, 7, 5) + b"seven"
    await copy_in(connection, b"COPY kept FROM STDIN (FORMAT BINARY)", b"PGCOPY\n\xff\r\n\x00" + bytes(8) + row + b"\xff\xff")
    assert await kept(connection) == [(7, "seven")]


INSERT = b"INSERT INTO kept VALUES ($1, $2)"


def number(value: int) -> bytes:
    return struct.pack("!i", value)


async def test_a_statement_is_executed_with_its_values(connection: postgres.Connection) -> None:
    for statement, value in [(INSERT, 1), (INSERT, 2), (b"INSERT INTO kept (words, number) VALUES ($2, $1)", 3)]:
        await execute(connection, statement, [number(value), None if value == 2 else b"words"])
    assert await kept(connection) == [(1, "words"), (2, None), (3, "words")]
    cursor = await connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT%'")
    assert await cursor.fetchone() == (2,)


async def test_what_postgresql_refuses_of_a_statement_is_raised_and_the_connection_goes_on(connection: postgres.Connection) -> None:
    await execute(connection, INSERT, [number(1), b"one"])
    with pytest.raises(UniqueViolation):
        await execute(connection, INSERT, [number(1), b"again"])
    with pytest.raises(UndefinedTable):
        await execute(connection, b"INSERT INTO nothing VALUES ($1)", [number(1)])
    async with connection.transaction() as transaction:
        await execute(connection, INSERT, [number(2), b"two"])
        raise psycopg.Rollback(transaction)
    await connection.execute("CREATE TABLE nothing (number integer)")
    await execute(connection, b"INSERT INTO nothing VALUES ($1)", [number(1)])
    assert await kept(connection) == [(1, "one")]
