"""Answered ⊆ stored, whatever happens to the database's connections; and equal when every answer could be had."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import DataError

from services.gateway.access import Role
from services.gateway.deadlines import Deadlines
from services.gateway.predictions.entries import Entry, KeyTaken
from services.gateway.predictions.journal import Journal
from services.gateway.predictions.rows import Key, common, encode, identifier_of
from services.gateway.predictions.spool import Spool
from services.gateway.upkeep import in_background
from services.kit import postgres
from services.kit.errors import GatewayTimeout, Unavailable
from services.kit.ids import timestamp_of, uuid7_bytes
from tests.gateway import EXAMPLE, Gateway, started

Connect = Callable[[], Awaitable[postgres.Connection]]
SHARED = common("tiny", "3", None, "ann", "request-1")


def row(note: str = "") -> bytes:
    return encode(uuid7_bytes(), SHARED, b'{"note":"%s"}' % note.encode(), b"{}", 0.5, None, 1.0)


def entry(*rows: bytes, seconds: float = 10.0, spools: bool = False, key: Key | None = None) -> Entry:
    return Entry(list(rows or (row(),)), asyncio.get_running_loop().time() + seconds, spools, key)


def to(url: str) -> Connect:
    return lambda: postgres.connect(url, "gateway-journal", autocommit=True)


@asynccontextmanager
async def opened(connect: Connect, folder: Path, *, patience: float = 2.0, capacity: int = 100) -> AsyncIterator[Journal]:
    spool, deadlines = await Spool.open(folder, "0000000a", 2**20), Deadlines()
    try:
        async with in_background("deadlines", deadlines.run), Journal(connect, spool, deadlines, patience=patience, capacity=capacity).running() as journal:
            yield journal
            if spool.pending_rows:
                async with await connect() as connection:
                    await spool.replay(connection)
    finally:
        await spool.close()


async def write(journal: Journal, *entries: Entry) -> list[Any]:
    """What became of each."""
    for one in entries:
        journal.submit(one)
    return await asyncio.gather(*(one.done for one in entries), return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


def refuses(journal: Journal) -> bool:
    try:
        journal.check(spools=False)
    except Unavailable:
        return True
    return False


async def ids(url: str, table: str = "predictions", column: str = "id") -> list[bytes]:
    async with await postgres.connect(url, "cli") as connection:
        cursor = await connection.execute(sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table)))
        return [one[0].bytes for one in await cursor.fetchall()]


def ids_of(*entries: Entry) -> list[bytes]:
    return [identifier_of(one) for entry in entries for one in entry.rows]


async def stored(gateway: Gateway) -> set[str]:
    return {str(one[0]) for one in await gateway.query("SELECT id FROM predictions")}


async def test_two_thousand_at_once_are_stored_one_for_one(database_url: str) -> None:
    async with started(database_url, max_wait_ms=60_000) as gateway:
        headers = await gateway.user("ann") | {"X-Request-Timeout": "12"}
        answers = await asyncio.gather(*(gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers) for _ in range(2000)))
        assert Counter(answer.status_code for answer in answers) == {200: 2000}
        assert {answer.json()["prediction_id"] for answer in answers} == await stored(gateway)
        assert gateway.state.spool.answered.count == 2000


async def test_killed_connections_lose_and_invent_nothing(gateway: Gateway, database_url: str) -> None:
    headers = await gateway.user("ann", Role.analyst)
    answered: list[str] = []
    others: Counter[int] = Counter()
    end = time.monotonic() + 3

    async def ask() -> None:
        while time.monotonic() < end:
            answer = await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)
            if answer.status_code == 200:
                answered.append(answer.json()["prediction_id"])
            else:
                others[answer.status_code] += 1

    async def ask_for_many() -> None:
        while time.monotonic() < end:
            answer = await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE] * 200}, headers=headers)
            if answer.status_code == 200:
                answered.extend(one["prediction_id"] for one in answer.json()["predictions"])
            else:
                others[answer.status_code] += 1

    async def kill() -> int:
        killed = 0
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as admin:
            while time.monotonic() < end:
                await asyncio.sleep(0.07)
                cursor = await admin.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE application_name = 'modelyard-gateway-journal' AND datname = current_database()"""
                )
                killed += cursor.rowcount
        return killed

    killed, *_ = await asyncio.gather(kill(), ask_for_many(), *(ask() for _ in range(16)))
    assert killed is not None
    assert killed > 10
    assert len(answered) > 100
    assert len(answered) == len(set(answered))
    assert others == Counter()
    await until(lambda: not gateway.state.spool.pending_rows)
    assert set(answered) == await stored(gateway)


async def test_without_a_database_nothing_is_answered_and_nobody_waits_long(database_url: str, free_port: int, tmp_path: Path) -> None:
    away = True

    async def connect() -> postgres.Connection:
        return await to(f"postgresql://nobody@127.0.0.1:{free_port}/none" if away else database_url)()

    async with opened(connect, tmp_path, patience=0.3) as journal:
        late = entry()
        [refused] = await write(journal, late)
        assert isinstance(refused, Unavailable)
        with pytest.raises(Unavailable):
            journal.check(spools=False)
        journal.check(spools=True)
        spooled = entry(spools=True)
        assert await write(journal, spooled) == [None]
        away = False
        await until(lambda: not refuses(journal))
        kept = entry()
        assert await write(journal, kept) == [None]
    assert sorted(await ids(database_url)) == sorted(ids_of(kept, spooled))


class Deaf:
    """Between the journal and PostgreSQL: passes the first rows on, and breaks the connection when it hears that they are stored."""

    def __init__(self, database_url: str) -> None:
        self._target = urlsplit(database_url)
        self.broke = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            yield self._target._replace(netloc=f"{self._target.username}@127.0.0.1:{port}").geturl()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_connection(self._target.hostname, self._target.port)

        async def there() -> None:
            while part := await reader.read(65536):
                asks.write(part)

        async def back() -> None:
            while part := await answers.read(65536):
                if not self.broke and any(done in part for done in (b"COPY 2", b"INSERT 0 1")):
                    self.broke = True
                    return
                writer.write(part)

        with suppress(OSError):
            await asyncio.wait([asyncio.create_task(there()), asyncio.create_task(back())], return_when=asyncio.FIRST_COMPLETED)
        asks.close()
        writer.close()


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("spools", [False, True])
async def test_a_commit_whose_outcome_was_lost_is_stored_once(database_url: str, tmp_path: Path, spools: bool, rows: int) -> None:
    """The connection breaks after PostgreSQL has stored the row and before anybody hears of it."""
    deaf = Deaf(database_url)
    async with deaf.serving() as url, opened(to(url), tmp_path) as journal:
        one = entry(*(row() for _ in range(rows)), spools=spools)
        assert await write(journal, one) == [None]
        assert await write(journal, entry()) == [None]
        assert deaf.broke
    kept = await ids(database_url)
    assert [kept.count(identifier) for identifier in ids_of(one)] == [1] * rows


@pytest.mark.parametrize("released", [0.1, 0.29, 0.31, 0.4, 0.6])
async def test_a_commit_that_was_given_up_is_stored_once_or_not_at_all(database_url: str, tmp_path: Path, released: float) -> None:
    """PostgreSQL does not answer for about as long as the journal has patience."""
    async with await postgres.connect(database_url, "cli") as other, opened(to(database_url), tmp_path, patience=0.3) as journal:
        assert await write(journal, entry()) == [None]
        await other.execute("LOCK TABLE predictions IN EXCLUSIVE MODE")
        one = entry()
        journal.submit(one)
        await asyncio.sleep(released)
        await other.rollback()
        await one.done
        assert (await ids(database_url)).count(ids_of(one)[0]) == 1


async def test_what_is_late_is_not_stored_or_known_as_undelivered(database_url: str, tmp_path: Path) -> None:
    async with await postgres.connect(database_url, "cli") as other, opened(to(database_url), tmp_path) as journal:
        assert await write(journal, entry()) == [None]
        await other.execute("LOCK TABLE predictions IN EXCLUSIVE MODE")
        under_way, waiting, patient = entry(seconds=0.1), entry(seconds=0.1), entry()
        journal.submit(under_way)
        await asyncio.sleep(0.05)
        journal.submit(waiting)
        journal.submit(patient)
        late = await asyncio.gather(under_way.done, waiting.done, return_exceptions=True)
        assert [type(problem) for problem in late] == [GatewayTimeout] * 2
        await other.rollback()
        await patient.done
        assert set(ids_of(under_way, patient)) <= set(await ids(database_url))
        assert ids_of(waiting)[0] not in await ids(database_url)
        assert await write(journal, entry()) == [None]
    assert await ids(database_url, "undelivered", "prediction_id") == ids_of(under_way)


async def test_a_row_that_postgresql_refuses_spoils_no_other(database_url: str, tmp_path: Path) -> None:
    async with opened(to(database_url), tmp_path) as journal:
        again = entry()
        await write(journal, again)
        good = [entry() for _ in range(5)]
        results = await write(journal, *good[:3], entry(row("\\u0000")), entry(*again.rows), *good[3:])
    assert [isinstance(result, DataError) for result in results] == [False] * 3 + [True] + [False] * 3
    assert results.count(None) == 6
    assert sorted(await ids(database_url)) == sorted(ids_of(again, *good))


async def test_who_comes_first_with_a_key_has_it(database_url: str, tmp_path: Path) -> None:
    key, other = Key("ann", "k-1", b"asked"), Key("ann", "k-2", b"asked")
    async with opened(to(database_url), tmp_path) as journal, opened(to(database_url), tmp_path / "second") as second:
        ours = [entry(key=key), entry(), entry(key=key), entry(key=other)]
        results, [theirs] = await asyncio.gather(write(journal, *ours), write(second, mine := entry(key=key)))
        won = [one for one, result in zip([*ours, mine], [*results, theirs], strict=True) if result is None]
        assert [type(result) for result in (*results, theirs)].count(KeyTaken) == 2
        assert ours[1] in won
        assert ours[3] in won
        assert sorted(await ids(database_url)) == sorted(ids_of(*won))
        assert [type(result) for result in await write(journal, entry(key=key))] == [KeyTaken]


async def test_a_full_journal_refuses_more(tmp_path: Path) -> None:
    async def never() -> postgres.Connection:
        await asyncio.sleep(60)
        raise AssertionError

    async with opened(never, tmp_path, patience=0.2, capacity=3) as journal:
        waiting = [entry() for _ in range(3)]
        for one in waiting:
            journal.submit(one)
        with pytest.raises(Unavailable, match="Too many"):
            journal.check(spools=False)
        assert all(isinstance(result, Unavailable) for result in await asyncio.gather(*(one.done for one in waiting), return_exceptions=True))


async def test_rows_lie_in_the_partition_of_their_month(gateway: Gateway) -> None:
    headers = await gateway.user("ann")
    identifier = UUID((await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)).json()["prediction_id"])
    found = await gateway.query("SELECT tableoid::regclass::text FROM predictions WHERE id = %s", identifier)
    assert found == [(f"predictions_{timestamp_of(identifier):%Y_%m}",)]
