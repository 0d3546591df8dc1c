"""A table of PostgreSQL as a stream of CSV: one statement, so all rows are of one moment, and nothing of it waits in memory."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import psycopg
from psycopg import sql

from bentos.contract import BadData, Problem
from services.pipeline.failure import Failure, Final

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")
OPTION = "--input"
READ_ONLY = "-c default_transaction_read_only=on -c statement_timeout=0"
APPLICATION = "modelyard score"


@contextmanager
def rows(name: str, url: str | None) -> Iterator[IO[bytes]]:
    """`name`: of a table or a view, with its schema or without. Raises BadData for what is no table, Final without an address, Failure when nobody answers."""
    if not NAME.fullmatch(name):
        raise BadData([Problem(OPTION, f"{name!r} is no name of a table: letters, digits and _, with one dot between schema and table")])
    if url is None:
        raise Final("PIPELINE_TABLES_URL is not set: it is the address of the database with tables that may be scored, for a role that may read them")
    try:
        connection = psycopg.connect(url, options=READ_ONLY, application_name=APPLICATION, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Failure(f"the database of PIPELINE_TABLES_URL does not answer: {str(error).splitlines()[0]}") from None
    with connection, connection.cursor() as cursor:
        table = sql.Identifier(*name.split("."))
        try:
            cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table))
        except psycopg.Error as error:
            raise BadData([Problem(OPTION, f"{name}: {str(error).splitlines()[0]}")]) from None
        columns = [_column(connection, one) for one in cursor.description or ()]
        query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT (FORMAT csv, HEADER true, ENCODING 'UTF8')").format(sql.SQL(", ").join(columns), table)
        with cursor.copy(query) as copy:
            yield cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, _Stream(copy)), 1024 * 1024))


def _column(connection: "psycopg.Connection[object]", described: psycopg.Column) -> sql.Composed:
    """As a cell of CSV has it: true and false in words, a list as JSON, NaN as nothing."""
    name = sql.Identifier(described.name)
    kind = connection.adapters.types.get(described.type_code)
    if kind is not None and described.type_code == kind.array_oid:
        return sql.SQL("to_json({})::text AS {}").format(name, name)
    if kind is not None and kind.name in ("float4", "float8", "numeric"):
        return sql.SQL("nullif({}, 'NaN') AS {}").format(name, name)
    if kind is not None and kind.name == "bool":
        return sql.SQL("{}::text AS {}").format(name, name)
    return sql.SQL("{}").format(name)


class _Stream(io.RawIOBase):
    def __init__(self, copy: "psycopg.Copy") -> None:
        self._copy = copy
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: "bytearray") -> int:  # type: ignore[override]
        if not self._rest:
            try:
                self._rest = memoryview(self._copy.read())
            except psycopg.OperationalError as error:
                raise Failure(f"the database of PIPELINE_TABLES_URL was lost: {str(error).splitlines()[0]}") from None
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
