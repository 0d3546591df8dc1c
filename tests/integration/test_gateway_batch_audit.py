"""Batches are stored whole or not at all, and answered only when they are, whatever happens to the database."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import OperationalError, sql

from services.gateway.access import Role
from services.gateway.predictions.batch.audit import Audit, Away
from services.gateway.predictions.contracts import contract
from services.gateway.predictions.rows import common, encode
from services.kit import postgres
from services.kit.errors import Unavailable
from services.kit.ids import uuid7_block, uuid7_bytes
from services.kit.postgres import Connection
from tests.gateway import CONTRACTS, SCHEMA, Gateway, started

ROWS = 6000
NDJSON = {"Content-Type": "application/x-ndjson"}
PATH = "/predict/tiny/batch"


def body(count: int, note: str = "") -> bytes:
    return b"\n".join(json.dumps({"age": number % 100, "note": f"{note}{number}"}).encode() for number in range(count))


def admin(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True)


@asynccontextmanager
async def away(url: str) -> AsyncIterator[None]:
    """Nobody can connect to the database."""
    name = urlsplit(url).path[1:]

    def allow(allowed: bool) -> None:
        with admin(url) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(allowed)))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    await asyncio.to_thread(allow, False)
    try:
        yield
    finally:
        await asyncio.to_thread(allow, True)


async def caller(gateway: Gateway) -> dict[str, str]:
    """Known already: while the database is away nobody can say who a new one is."""
    headers = await gateway.user("ann", Role.analyst)
    assert (await gateway.client.get("/auth/users/me", headers=headers)).status_code == 200
    return headers | NDJSON


async def counted(gateway: Gateway) -> dict[str, int]:
    return dict(await gateway.query("SELECT batch_id::text, count(*)::int FROM predictions GROUP BY 1"))


async def test_killed_connections_leave_whole_batches_or_none(database_url: str) -> None:
    """The first way breaks in the middle; rows that may be spooled then go another, so that every batch is answered in the end."""
    async with started(database_url) as gateway:
        headers = await caller(gateway)
        ends, killed = asyncio.Event(), 0

        async def kill() -> None:
            nonlocal killed
            name = urlsplit(database_url).path[1:]
            with admin(database_url) as connection:
                while not ends.is_set():
                    statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = 'modelyard-gateway-batch'"
                    killed += len(connection.execute(statement, [name]).fetchall())
                    await asyncio.sleep(0.03)

        killer = asyncio.create_task(kill())
        answers = [await gateway.client.post(PATH, content=body(ROWS), headers=headers) for _ in range(6)]
        ends.set()
        await killer
        assert {answer.status_code for answer in answers} <= {200, 503}
        answered = {answer.headers["X-Batch-ID"] for answer in answers if answer.status_code == 200}
        found = await counted(gateway)
        assert (killed > 0, set(found.values()), answered <= found.keys()) == (True, {ROWS}, True)
        assert gateway.state.spool.answered.count == ROWS * len(answered)


async def test_an_outage_is_bridged_by_the_spool_up_to_a_size(database_url: str) -> None:
    async with started(database_url) as gateway:
        headers = await caller(gateway)
        async with away(database_url):
            small = await gateway.client.post(PATH, content=body(ROWS), headers=headers)
            large = await gateway.client.post(PATH, content=body(ROWS, "x" * 2000), headers=headers)
            assert (small.status_code, large.status_code, "too large" in large.text) == (200, 503, True), (small.text[:500], large.text)
            assert gateway.state.spool.pending_rows == ROWS
        async with asyncio.timeout(15):
            while gateway.state.spool.pending_rows:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        assert await counted(gateway) == {small.headers["X-Batch-ID"]: ROWS}


async def test_an_outage_is_told_where_rows_may_not_be_spooled(database_url: str) -> None:
    refusing = {"tiny": contract("tiny", title="Tiny", summary="?", timeout=1.0, schema=SCHEMA, spools=False)}
    async with started(database_url, refusing, audit_patience_seconds=0.5) as gateway:
        headers = await caller(gateway)
        async with away(database_url):
            answer = await gateway.client.post(PATH, content=body(ROWS), headers=headers)
            assert (answer.status_code, "away" in answer.text, answer.headers["Retry-After"]) == (503, True, "2")
            assert gateway.state.spool.pending_rows == 0
        with suppress(OperationalError):
            await gateway.query("SELECT 1")  # the pool's connections are gone
        assert await counted(gateway) == {}


class LosesTheAnswerToCommit:
    """A connection over which the commit is carried out, or not, and its answer never arrives."""

    def __init__(self, connection: Connection, *, commits: bool) -> None:
        self._connection = connection
        self._commits = commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction(force_rollback=not self._commits):
            yield
        raise OperationalError("the connection is lost")


@pytest.mark.parametrize(("commits", "there_later"), [(True, True), (False, True), (True, False)])
async def test_a_commit_without_an_answer_is_looked_up(database_url: str, commits: bool, there_later: bool) -> None:
    assert CONTRACTS["tiny"].spools
    connections = 0

    async def connect() -> Any:
        nonlocal connections
        connections += 1
        if connections > 1 and not there_later:
            raise OperationalError("away")
        connection = await postgres.connect(database_url, "gateway-batch", autocommit=True)
        return LosesTheAnswerToCommit(connection, commits=commits) if connections == 1 else connection

    batch, audit = uuid7_bytes(), Audit(connect, patience=2.0)
    shared = common("tiny", "3", None, "ann", "request-1", batch)
    tuples = [encode(identifier, shared, b"{}", b"{}", 0.5, None, 1.0, number) for number, identifier in enumerate(uuid7_block(10))]

    async def record() -> None:
        async with audit.transaction(None, batch) as write:
            await write(tuples[:5])
            await write(tuples[5:])

    if commits and there_later:
        await record()
    else:
        with pytest.raises(Unavailable, match="could not be recorded" if there_later else "not known"):
            await record()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (10 if commits else 0,)


async def test_nothing_is_stored_when_the_work_fails(database_url: str, free_port: int) -> None:
    def to(url: str) -> Callable[[], Awaitable[Connection]]:
        return lambda: postgres.connect(url, "gateway-batch", autocommit=True)

    batch = uuid7_bytes()
    [row] = [encode(uuid7_bytes(), common("tiny", "3", None, "ann", "request-1", batch), b"{}", b"{}", 0.5, None, 1.0, 0)]

    async def fail(url: str) -> None:
        async with Audit(to(url), patience=2.0).transaction(None, batch) as write:
            await write([row])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail(database_url)
    with pytest.raises(Away):
        await fail(f"postgresql://modelyard@127.0.0.1:{free_port}/none")
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (0,)


async def test_a_bad_last_row_leaves_nothing_of_those_that_were_scored_before(database_url: str) -> None:
    async with started(database_url) as gateway:
        headers, count = await caller(gateway), 5 * ROWS
        bad = body(count) + b'\n{"age": "old", "note": ""}\n'
        refused = await gateway.client.post(PATH, content=bad, headers=headers)
        assert refused.status_code == 422
        assert [error["field"] for error in refused.json()["errors"]] == [f"rows.{count}.age"]
        assert len(gateway.runner.calls) > 0, "the first rows were scored while the last ones were read"
        assert await gateway.query("SELECT count(*) FROM predictions") == [(0,)]
        skipped = await gateway.client.post(f"{PATH}?on_error=skip", content=bad, headers=headers)
        lines = [json.loads(line) for line in skipped.text.splitlines()]
        assert (skipped.status_code, len(lines), skipped.headers["X-Rows-Failed"]) == (200, count + 1, "1")
        assert [line.get("row") for line in lines if "prediction_id" not in line] == [count]
        assert await gateway.query("SELECT count(*), max(row_number) FROM predictions") == [(count, count - 1)]
