"""The outcome of a forecast is the candle that came: told once, by control, of what was made from the stored candles."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from services.kit.ids import uuid7
from tests.integration.control_server import control, until
from tests.kraken import KrakenServer

HOUR = 3600
MODEL = "crypto_price"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


async def forecast(
    database: psycopg.AsyncConnection, forecast_for: int, naive: float, *, symbol: str = "XBTUSD", interval: int = 60, output: Any = None
) -> str:
    identifier, moment = uuid7(), datetime.now(UTC)
    said = {"prediction": naive + 1, "naive": naive, "forecast_for": forecast_for} if output is None else output
    await database.execute(
        "INSERT INTO predictions (id, created_at, model, model_version, username, request_id, input, output, score, latency_ms) "
        "VALUES (%s, %s, %s, '1', 'ada', 'r', %s, %s, %s, 1.5)",
        [identifier, moment, MODEL, Jsonb({"asset": symbol, "interval": interval}), Jsonb(said), naive + 1],
    )
    return str(identifier)


async def test_forecasts_get_the_candle_that_came_once(database_url: str, tmp_path: Path, database: psycopg.AsyncConnection) -> None:
    async with KrakenServer() as kraken:
        settings = {"kraken_url": kraken.url, "kraken_spacing_seconds": 0, "market_refresh_seconds": 0.1}
        async with control(database_url, tmp_path, **settings) as client:
            assert (await client.post("/market/assets", json={"symbol": "BTC/USD", "actor": "ada"})).status_code == 201

            async def filled() -> bool:
                row = await (await database.execute("SELECT backfill ->> 'state' FROM assets")).fetchone()
                return row == ("done",)

            await until(filled, 20)
            query = "SELECT interval, timestamp, close::float8 FROM candles ORDER BY timestamp"
            closes = {(interval, opened): close for interval, opened, close in await (await database.execute(query)).fetchall()}
            newest = max(opened for interval, opened in closes if interval == 60)
            day = max(opened for interval, opened in closes if interval == 1440)
            known = await forecast(database, newest, closes[60, newest - HOUR])
            daily = await forecast(database, day, closes[1440, day - 24 * HOUR], interval=1440)
            told = await forecast(database, newest - HOUR, closes[60, newest - 2 * HOUR])
            await database.execute("INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, 7, 'bob')", [told])
            await forecast(database, newest + HOUR, closes[60, newest])
            await forecast(database, newest, closes[60, newest - HOUR] + 5)
            await forecast(database, newest, closes[60, newest - HOUR], symbol="ETHUSD")
            await forecast(database, newest, 1.0, output={})

            async def complete() -> bool:
                return len(await outcomes(database)) >= 3

            await until(complete)
            await asyncio.sleep(0.5)
            expected = {known: (closes[60, newest], "market"), daily: (closes[1440, day], "market"), told: (7.0, "bob")}
            assert await outcomes(database) == [(key, *value) for key, value in sorted(expected.items(), key=lambda one: one[0])]
        async with control(database_url, tmp_path, **settings):
            await asyncio.sleep(1)
        assert len(await outcomes(database)) == 3


async def outcomes(database: psycopg.AsyncConnection) -> list[tuple[Any, ...]]:
    return await (await database.execute("SELECT prediction_id::text, value, actor FROM outcomes ORDER BY 1")).fetchall()
