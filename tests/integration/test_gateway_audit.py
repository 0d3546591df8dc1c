"""Answered ⊆ stored, whatever happens to the database's connections; and equal when every answer could be had."""

import asyncio
import time
from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import DataError
from psycopg.types.json import Jsonb

from services.gateway.access import Role
from services.gateway.predictions import repository
from services.gateway.predictions.journal import Journal
from services.gateway.predictions.repository import Row
from services.kit import postgres
from services.kit.errors import Unavailable
from services.kit.ids import timestamp_of, uuid7
from tests.gateway import EXAMPLE, Gateway


def row(note: str = "") -> Row:
    identifier = uuid7()
    ids = (identifier, timestamp_of(identifier))
    return Row(*ids, "tiny", "3", None, "ann", "request-1", None, None, Jsonb({"note": note}), Jsonb({}), 0.5, None, 1.0)


async def stored(gateway: Gateway) -> set[str]:
    return {str(one[0]) for one in await gateway.query("SELECT id FROM predictions")}


async def test_two_thousand_at_once_are_stored_one_for_one(gateway: Gateway) -> None:
    headers = await gateway.user("ann")
    answers = await asyncio.gather(*(gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers) for _ in range(2000)))
    answered = {answer.json()["prediction_id"] for answer in answers if answer.status_code == 200}
    refused = Counter(answer.status_code for answer in answers if answer.status_code != 200)
    assert answered == await stored(gateway)
    assert (len(answered), refused) == (2000, Counter())


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
    assert set(answered) == await stored(gateway)


async def test_without_a_database_nothing_is_answered_and_nobody_waits_long(database_url: str, free_port: int) -> None:
    away = True

    async def connect() -> postgres.Connection:
        url = f"postgresql://nobody@127.0.0.1:{free_port}/none" if away else database_url
        return await postgres.connect(url, "gateway-journal", autocommit=True)

    async with Journal(connect, patience=0.3, capacity=10).running() as journal:
        late = row()
        with pytest.raises(Unavailable):
            await journal.write([late])
        await asyncio.sleep(0.3)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await journal.write([row()])
        assert time.monotonic() - began < 0.2, "known to be away for longer than the patience of 0.3 s: told at once"
        away = False
        await asyncio.sleep(1.2)
        kept = row()
        await journal.write([kept])
    async with await postgres.connect(database_url, "gateway-journal") as connection:
        assert await repository.stored(connection, [late.id, kept.id]) == {kept.id}


async def test_a_commit_whose_outcome_was_lost_is_looked_up(database_url: str) -> None:
    """The connection breaks after PostgreSQL has stored the rows and before anybody hears of it."""

    class Deaf(psycopg.AsyncConnection[tuple[object, ...]]):
        broke = False

        async def execute(self, query: Any, *arguments: Any, **more: Any) -> Any:
            cursor = await super().execute(query, *arguments, **more)
            if not Deaf.broke and str(query).startswith("INSERT"):
                Deaf.broke = True
                raise psycopg.OperationalError("the connection is lost")
            return cursor

    async def connect() -> postgres.Connection:
        return await Deaf.connect(database_url, autocommit=True)

    async with Journal(connect, patience=2, capacity=10).running() as journal:
        one = row()
        await journal.write([one])
    assert Deaf.broke
    async with await postgres.connect(database_url, "gateway-journal") as connection:
        cursor = await connection.execute("SELECT count(*) FROM predictions WHERE id = %s", [one.id])
        assert await cursor.fetchone() == (1,)


async def test_a_row_that_postgresql_refuses_spoils_no_other(database_url: str) -> None:
    async def connect() -> postgres.Connection:
        return await postgres.connect(database_url, "gateway-journal", autocommit=True)

    async with Journal(connect, patience=2, capacity=100).running() as journal:
        again = row()
        await journal.write([again])
        good = [row() for _ in range(5)]
        results = await asyncio.gather(*(journal.write([one]) for one in (*good[:3], row("\0"), again, *good[3:])), return_exceptions=True)
    assert [isinstance(result, DataError) for result in results] == [False] * 3 + [True] + [False] * 3
    async with await postgres.connect(database_url, "gateway-journal") as connection:
        assert await repository.stored(connection, [one.id for one in (again, *good)]) == {one.id for one in (again, *good)}


async def test_a_full_journal_refuses_more(database_url: str) -> None:
    async def never() -> postgres.Connection:
        await asyncio.sleep(60)
        raise AssertionError

    async with Journal(never, patience=0.2, capacity=3).running() as journal:
        waiting = [asyncio.create_task(journal.write([row()])) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="Too many"):
            await journal.write([row()])
        assert all(isinstance(result, Unavailable) for result in await asyncio.gather(*waiting, return_exceptions=True))


async def test_rows_lie_in_the_partition_of_their_month(gateway: Gateway) -> None:
    headers = await gateway.user("ann")
    identifier = UUID((await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)).json()["prediction_id"])
    found = await gateway.query("SELECT tableoid::regclass::text FROM predictions WHERE id = %s", identifier)
    assert found == [(f"predictions_{timestamp_of(identifier):%Y_%m}",)]
