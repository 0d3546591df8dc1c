"""From the spool into the table: all of it, once, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.gateway.predictions import repository
from services.gateway.predictions.rows import common, encode
from services.gateway.predictions.spool import Spool, records
from services.gateway.predictions.spool.emptying import keep_empty
from services.gateway.predictions.spool.files import of_kind
from services.gateway.upkeep import in_background
from services.kit import postgres
from services.kit.ids import uuid7_block
from tests.gateway_process import until

SHARED = common("tiny", "3", None, "ann", "request-1")


def tuples(count: int, note: str = "n", since: int | None = None) -> list[bytes]:
    """`since`: milliseconds since 1970, for rows of another time."""
    ids = uuid7_block(count)
    if since is not None:
        ids = [since.to_bytes(6) + one[6:] for one in ids]
    return [encode(one, SHARED, b'{"note":"%s"}' % note.encode(), b"{}", 0.5, "stays", 1.5) for one in ids]


@asynccontextmanager
async def opened(folder: Path, node: str = "00000001") -> AsyncIterator[Spool]:
    spool = await Spool.open(folder, node, 64 * 1024 * 1024)
    try:
        yield spool
    finally:
        await spool.close()


async def connect(url: str) -> postgres.Connection:
    return await postgres.connect(url, "gateway-journal", autocommit=True)


async def ids_in(url: str) -> list[bytes]:
    async with await connect(url) as connection:
        return [row[0].bytes for row in await (await connection.execute("SELECT id FROM predictions ORDER BY id")).fetchall()]


def ids_of(rows: list[bytes]) -> list[bytes]:
    return sorted(row[6:22] for row in rows)


async def test_what_is_in_the_spool_comes_into_the_table_once(tmp_path: Path, database_url: str) -> None:
    rows = tuples(1_400)
    async with opened(tmp_path) as spool, await connect(database_url) as connection:
        await repository.store(connection, rows[:100])
        for begin in range(0, len(rows), 7):
            await spool.append(rows[begin : begin + 7])
        assert await spool.replay(connection) == 1_400
        assert await spool.replay(connection) == 0
        assert (spool.pending_rows, spool.pending_bytes, [*of_kind(tmp_path, "segment")]) == (0, 0, [])
        later = tuples(3)
        await spool.append(later)
        assert await spool.replay(connection) == 3
    assert await ids_in(database_url) == ids_of([*rows, *later])


async def test_rows_of_a_month_without_a_partition_have_a_place(tmp_path: Path, database_url: str) -> None:
    rows = tuples(3, since=1_000_000_000_000)
    async with opened(tmp_path) as spool, await connect(database_url) as connection:
        await spool.append(rows)
        await spool.replay(connection)
        cursor = await connection.execute("SELECT DISTINCT tableoid::regclass::text, extract(year FROM created_at)::int FROM predictions")
        assert await cursor.fetchall() == [("predictions_default", 2001)]


async def test_a_replay_that_is_killed_in_the_middle_is_done_again_whole(tmp_path: Path, database_url: str) -> None:
    rows = tuples(4_000)

    class Dying(psycopg.AsyncConnection[tuple[Any, ...]]):
        inserts = 0

        async def execute(self, query: Any, *arguments: Any, **more: Any) -> Any:
            if str(query).startswith("INSERT"):
                Dying.inserts += 1
                if Dying.inserts == 4:
                    await self.close()
            return await super().execute(query, *arguments, **more)

    async with opened(tmp_path) as spool:
        for begin in range(0, len(rows), 100):
            await spool.append(rows[begin : begin + 100])
        async with await Dying.connect(database_url, autocommit=True) as dying:
            with pytest.raises(psycopg.OperationalError):
                await spool.replay(dying)
        assert len(await ids_in(database_url)) == 1_500
        assert spool.pending_rows == 4_000
    async with opened(tmp_path, "00000002") as successor, await connect(database_url) as connection:
        assert successor.pending_rows == 4_000
        assert await successor.replay(connection) == 4_000
    assert await ids_in(database_url) == ids_of(rows)


async def test_a_living_process_stores_what_one_that_died_left(tmp_path: Path, database_url: str) -> None:
    rows = tuples(5)
    async with opened(tmp_path) as living, in_background("emptying", partial(keep_empty, living, partial(connect, database_url))):
        async with opened(tmp_path, "0000dead") as dead:
            await dead.append(rows)
        await until(lambda: not [*of_kind(tmp_path, "segment")])
    assert await ids_in(database_url) == ids_of(rows)


async def test_appends_go_on_while_it_is_replayed(tmp_path: Path, database_url: str) -> None:
    rows = tuples(3_000)
    async with opened(tmp_path) as spool, await connect(database_url) as connection:
        for begin in range(0, 2_000, 50):
            await spool.append(rows[begin : begin + 50])
        replay = asyncio.create_task(spool.replay(connection))
        for begin in range(2_000, 3_000, 50):
            await spool.append(rows[begin : begin + 50])
        await replay
        await spool.replay(connection)
        assert spool.pending_rows == 0
    assert await ids_in(database_url) == ids_of(rows)


async def test_a_damaged_segment_gives_what_can_be_read_and_is_kept(tmp_path: Path, database_url: str) -> None:
    rows = tuples(10)
    async with opened(tmp_path) as spool, await connect(database_url) as connection:
        for row in rows:
            await spool.append([row])
        [(_, path)] = of_kind(tmp_path, "segment")
        content = bytearray(path.read_bytes())
        content[content.index(rows[4][6:22])] ^= 1
        path.write_bytes(content)
        assert await spool.replay(connection) == 9
        assert spool.pending_rows == 0
        assert [kept.read_bytes() for _, kept in of_kind(tmp_path, "corrupt")] == [content]
        assert [*of_kind(tmp_path, "segment")] == []
    assert await ids_in(database_url) == ids_of(rows[:4] + rows[5:])


async def test_a_row_that_postgresql_refuses_costs_no_other_and_is_kept(tmp_path: Path, database_url: str) -> None:
    good, bad = tuples(20), tuples(1, note="\\u0000")
    async with opened(tmp_path) as spool, await connect(database_url) as connection:
        for row in (*good[:10], *bad, *good[10:]):
            await spool.append([row])
        assert await spool.replay(connection) == 20
        [(_, kept)] = of_kind(tmp_path, "corrupt")
        assert bad[0] in [one.payload for one in records.decode(kept.read_bytes()).records]
    assert await ids_in(database_url) == ids_of(good)


async def test_a_segment_that_was_cut_short_or_removed_is_damage_and_blocks_no_other(tmp_path: Path, database_url: str) -> None:
    rows = tuples(4)
    async with opened(tmp_path) as spool, await connect(database_url) as connection:
        for row in rows[:2]:
            await spool.append([row])
        [(_, path)] = of_kind(tmp_path, "segment")
        path.write_bytes(path.read_bytes()[:-5])
        assert await spool.replay(connection) == 1
        assert len([*of_kind(tmp_path, "corrupt")]) == 1
        await spool.append([rows[2]])
        next(path for _, path in of_kind(tmp_path, "segment")).unlink()
        assert await spool.replay(connection) == 0
        await spool.append([rows[3]])
        assert await spool.replay(connection) == 1
    assert await ids_in(database_url) == ids_of([rows[0], rows[3]])
