"""The audit as steps read it: whole rows with their last outcome, in order."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest
from psycopg.types.json import Jsonb

from services.kit.ids import floor_of
from tests.integration.control_server import control

MODEL = "attrition"
BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
STRANGE = 'a "quoted" \\ back\nslash, é, \u2028'


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path) as client:
        yield client


@pytest.fixture
def ids(database_url: str) -> list[str]:
    """Six rows of the model, a minute apart, the last two by version 2, and one of another model."""
    rows = [(MODEL, "1", 0), (MODEL, "1", 1), (MODEL, "1", 2), (MODEL, "1", 3), (MODEL, "2", 4), (MODEL, "2", 5), ("credit_scoring", "1", 6)]
    made = []
    with psycopg.connect(database_url) as connection:
        for model, version, minute in rows:
            moment = BEGIN + timedelta(minutes=minute)
            identifier = str(floor_of(moment + timedelta(milliseconds=5)))
            made.append(identifier)
            connection.execute(
                "INSERT INTO predictions (id, created_at, model, model_version, username, request_id, input, output, score, decision, latency_ms) "
                "VALUES (%s, %s, %s, %s, 'ada', 'r', %s, %s, 0.25, 'stays', 1.5)",
                [identifier, moment, model, version, Jsonb({"note": STRANGE, "minute": minute}), Jsonb({"probability": 0.25})],
            )
        for value in (0, 1):
            connection.execute("INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, %s, 'bob')", [made[1], value])
    return made


async def read(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get(f"/audit/{MODEL}", params=query)
    assert answer.status_code == 200, answer.text
    return [orjson.loads(line) for line in answer.content.splitlines()]


async def test_rows_come_whole_and_in_order(client: httpx.AsyncClient, ids: list[str]) -> None:
    rows = await read(client)
    assert [row["id"] for row in rows] == ids[:6]
    assert rows[0] == {
        **{"id": ids[0], "at": BEGIN.timestamp(), "version": "1", "policy": None, "score": 0.25, "decision": "stays", "latency_ms": 1.5, "batch": False},
        **{"username": "ada", "input": {"note": STRANGE, "minute": 0}, "output": {"probability": 0.25}, "outcome": None, "outcome_at": None},
    }
    assert [row["id"] for row in await read(client, newest=True, limit=2)] == [ids[5], ids[4]]


async def test_the_last_outcome_is_the_truth(client: httpx.AsyncClient, ids: list[str]) -> None:
    (row,) = await read(client, known=True)
    assert (row["id"], row["outcome"]) == (ids[1], 1)


async def test_a_reader_goes_on_where_it_stopped(client: httpx.AsyncClient, ids: list[str]) -> None:
    first = await read(client, limit=4)
    rest = await read(client, after=first[-1]["id"])
    assert [row["id"] for row in first + rest] == ids[:6]


async def test_versions_and_moments_bound_it(client: httpx.AsyncClient, ids: list[str]) -> None:
    assert [row["id"] for row in await read(client, version="2")] == ids[4:6]
    bounds = {"since": (BEGIN + timedelta(minutes=1)).isoformat(), "until": (BEGIN + timedelta(minutes=3)).isoformat()}
    assert [row["id"] for row in await read(client, **bounds)] == ids[1:3]
    assert await read(client, since=datetime.now(UTC).isoformat()) == []


async def test_it_is_for_those_with_the_token(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/audit/{MODEL}", headers={"Authorization": ""})
    assert answer.status_code == 401
    assert (await client.get("/audit/nothing")).status_code == 404
    assert (await client.get(f"/audit/{MODEL}", params={"since": "yesterday"})).status_code == 422
