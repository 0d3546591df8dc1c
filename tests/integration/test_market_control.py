"""Control and the market: adding, back-fill, gaps, refresh, one of several controls, and what happens without Kraken."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from services.control import metrics
from tests.integration.control_server import control, until
from tests.integration.pipeline_steps import running
from tests.kraken import KrakenServer, candle, refusal, status

HOUR, DAY = 3600, 86_400
Query = Callable[..., Awaitable[list[tuple[Any, ...]]]]


@pytest.fixture
async def kraken() -> AsyncIterator[KrakenServer]:
    async with KrakenServer() as running:
        yield running


@pytest.fixture
async def query(database_url: str) -> AsyncIterator[Query]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:

        async def ask(statement: str, *values: Any) -> list[tuple[Any, ...]]:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

        yield ask


@pytest.fixture
async def client(database_url: str, tmp_path: Path, kraken: KrakenServer) -> AsyncIterator[httpx.AsyncClient]:
    async with control(database_url, tmp_path, **settings(kraken)) as running:
        yield running


def settings(kraken: KrakenServer, **more: Any) -> dict[str, Any]:
    return {"kraken_url": kraken.url, "kraken_spacing_seconds": 0, "market_refresh_seconds": 0.1} | more


async def add(client: httpx.AsyncClient, symbol: str) -> httpx.Response:
    return await client.post("/market/assets", json={"symbol": symbol, "actor": "ada"})


async def backfill(query: Query, state: str = "done", asset: int = 1) -> dict[str, Any]:
    async def reached() -> bool:
        return [(state,)] == await query("SELECT backfill ->> 'state' FROM assets WHERE id = %s", asset)

    await until(reached, 20)
    ((found,),) = await query("SELECT backfill FROM assets WHERE id = %s", asset)
    return dict(found)


async def stored(query: Query, interval: int = 60, asset: int = 1) -> list[int]:
    rows = await query("SELECT timestamp FROM candles WHERE asset_id = %s AND interval = %s ORDER BY timestamp", asset, interval)
    return [timestamp for (timestamp,) in rows]


async def test_an_added_asset_gets_its_history(client: httpx.AsyncClient, query: Query) -> None:
    answer = await add(client, "btc/usd")
    assert (answer.status_code, answer.json()["symbol"]) == (201, "XBTUSD")
    done = await backfill(query)
    now = int(time.time())
    assert done["error"] is None
    assert done["done"] == done["total"] == 2 * 719
    assert (await stored(query))[-1] == now // HOUR * HOUR - HOUR
    assert len(await stored(query, 1440)) == 719
    ((opened, *prices),) = await query("SELECT timestamp, open::text, high::text, low::text, close::text, volume::text FROM candles ORDER BY 1 LIMIT 1")
    row = candle(opened, DAY)
    assert prices == [*row[1:5], row[6]]

    async def priced() -> bool:
        return bool((await query("SELECT price IS NOT NULL AND price_at > now() - interval '1 minute' FROM assets"))[0][0])

    await until(priced)
    assert (await add(client, "XBTUSD")).status_code == 409


async def test_a_price_does_not_wait_for_the_next_turn(database_url: str, tmp_path: Path, kraken: KrakenServer, query: Query) -> None:
    async with control(database_url, tmp_path, **settings(kraken, market_refresh_seconds=3600)) as client:
        await add(client, "XBTUSD")
        await backfill(query)

        async def priced() -> bool:
            return await query("SELECT price IS NOT NULL FROM assets") == [(True,)]

        await until(priced)


async def test_what_kraken_does_not_offer_is_refused_with_near_names(client: httpx.AsyncClient, query: Query) -> None:
    answer = await add(client, "ETHUSDT")
    problem = answer.json()
    assert answer.status_code == 422
    assert problem["near"][0] == "ETHUSD"
    assert problem["errors"] == [{"field": "symbol", "rule": "must be a pair that Kraken offers, such as XBTUSD or BTC/USD", "value": "ETHUSDT"}]
    assert (await add(client, "qqqqqqq")).json()["near"] == []
    for symbol in ("", "x" * 41, "a\0b", 5, None):
        assert (await client.post("/market/assets", json={"symbol": symbol, "actor": "ada"})).status_code == 422
    assert await query("SELECT count(*) FROM assets") == [(0,)]


async def test_changes_need_the_token(client: httpx.AsyncClient) -> None:
    for method, path in (("POST", "/market/assets"), ("DELETE", "/market/assets/1?actor=a"), ("POST", "/market/assets/1/refresh")):
        answer = await client.request(method, path, json={"symbol": "XBTUSD", "actor": "a"}, headers={"Authorization": ""})
        assert answer.status_code == 401


async def test_a_young_pair_has_no_older_candles(client: httpx.AsyncClient, query: Query, kraken: KrakenServer) -> None:
    kraken.began = int(time.time()) - 50 * HOUR
    await add(client, "ADAUSD")
    done = await backfill(query)
    assert done["done"] == done["total"] == len(await stored(query)) + len(await stored(query, 1440))
    assert len(await stored(query)) in (49, 50)
    assert kraken.count("Trades") == 0


async def test_older_hours_are_added_up_from_trades(database_url: str, tmp_path: Path, kraken: KrakenServer, query: Query) -> None:
    async with control(database_url, tmp_path, **settings(kraken, market_history_days=40)) as client:
        await add(client, "XBTUSD")
        await backfill(query)
        hours = await stored(query)
        assert len(hours) == 40 * 24
        assert hours == list(range(hours[0], hours[0] + 40 * DAY, HOUR))
        rows = await query(
            "SELECT timestamp, open::text, high::text, low::text, close::text, volume, trades FROM candles WHERE interval = 60 ORDER BY 1 LIMIT 9"
        )
        for opened, *prices, volume, trades in rows:
            row = candle(opened, HOUR)
            assert (prices, float(volume), trades) == (row[1:5], float(row[6]), row[7])
        kraken.began = hours[0]
        calls = kraken.count("Trades")
        assert calls > 1


async def test_before_the_first_trade_nobody_asks_twice(database_url: str, tmp_path: Path, kraken: KrakenServer, query: Query) -> None:
    kraken.began = int(time.time()) // HOUR * HOUR - 35 * DAY
    async with control(database_url, tmp_path, **settings(kraken, market_history_days=60)) as client:
        await add(client, "XBTUSD")
        done = await backfill(query)
        assert done["since"]["60"][1] == kraken.began == (await stored(query))[0]
        calls = kraken.count("Trades")
        await add(client, "ETHUSD")
        await backfill(query, asset=2)
        assert kraken.count("Trades") == 2 * calls


async def test_gaps_are_found_and_filled(database_url: str, tmp_path: Path, kraken: KrakenServer, query: Query) -> None:
    async with control(database_url, tmp_path, **settings(kraken, market_history_days=40)) as client:
        await add(client, "XBTUSD")
        await backfill(query)
    hours = await stored(query)
    await query("DELETE FROM candles WHERE interval = 60 AND (timestamp BETWEEN %s AND %s OR timestamp >= %s)", hours[10], hours[19], hours[-30])
    kraken.asked.clear()
    async with control(database_url, tmp_path, **settings(kraken, market_history_days=40)):

        async def whole() -> bool:
            return await stored(query) == hours

        await until(whole)
    assert kraken.count("Trades") == 1


async def test_a_new_candle_comes_with_the_next_turn_and_is_corrected(client: httpx.AsyncClient, query: Query) -> None:
    await add(client, "XBTUSD")
    await backfill(query)
    hours = await stored(query)
    await query("UPDATE candles SET volume = 0 WHERE interval = 60 AND timestamp = %s", hours[-2])
    await query("DELETE FROM candles WHERE interval = 60 AND timestamp = %s", hours[-1])

    async def back() -> bool:
        return await stored(query) == hours

    await until(back)
    assert await query("SELECT volume::text FROM candles WHERE interval = 60 AND timestamp = %s", hours[-2]) == [(candle(hours[-2], HOUR)[6],)]

    async def shown() -> bool:
        return bool(metrics.MARKET_NEWEST.labels("XBTUSD", "60")._value.get() == hours[-1] + HOUR)

    await until(shown)


async def test_removal_takes_the_candles_along(client: httpx.AsyncClient, query: Query) -> None:
    await add(client, "XBTUSD")
    await backfill(query)
    answer = await client.delete("/market/assets/1?actor=ada")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await query("SELECT count(*) FROM candles") == [(0,)]
    assert (await client.delete("/market/assets/1?actor=ada")).status_code == 404
    for identifier in ("0", "x", str(2**63)):
        assert (await client.delete(f"/market/assets/{identifier}?actor=ada")).status_code == 422


async def test_without_kraken_nothing_fails(client: httpx.AsyncClient, query: Query, kraken: KrakenServer, caplog: pytest.LogCaptureFixture) -> None:
    await add(client, "XBTUSD")
    await backfill(query)
    before = await stored(query)
    kraken.always = status(503, "maintenance")
    await add(client, "ETHUSD")  # the pairs are known
    failed = await backfill(query, "failed", asset=2)
    await asyncio.sleep(0.5)
    assert failed["error"] == "Kraken answered with HTTP 503"
    said = [record.message for record in caplog.records if record.message.startswith("Kraken is")]
    assert said == ["Kraken is away; prices and candles stay as they are"]
    assert [record.message for record in caplog.records].count("back-fill") <= 2  # done, failed
    assert (await client.get("/readyz")).status_code == 200
    # Pairs that are known stay known.
    assert (await client.get("/market/pairs?search=btc")).json()["pairs"][0]["symbol"] == "XBTUSD"
    await query("DELETE FROM candles WHERE asset_id = 1 AND interval = 60 AND timestamp = %s", before[-1])
    assert (await client.post("/market/assets/1/refresh")).status_code == 503
    kraken.always = None
    await backfill(query, asset=2)
    assert await stored(query) == await stored(query, asset=2) == before


async def test_an_asset_cannot_be_added_while_kraken_has_never_been_there(client: httpx.AsyncClient, kraken: KrakenServer) -> None:
    kraken.always = refusal("EService:Unavailable")
    answer = await add(client, "XBTUSD")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "Kraken says EService:Unavailable" in answer.json()["detail"]


async def test_kraken_switched_off(database_url: str, tmp_path: Path) -> None:
    async with control(database_url, tmp_path, kraken_url="") as client:
        assert (await add(client, "XBTUSD")).status_code == 503
        assert "switched off" in (await client.get("/market/pairs")).json()["detail"]
        assert (await client.get("/market/archives")).json() == {"archives": []}


async def test_a_pair_that_kraken_drops_does_not_harm_the_others(client: httpx.AsyncClient, query: Query, kraken: KrakenServer) -> None:
    await add(client, "ADAUSD")
    await backfill(query)
    await add(client, "XBTUSD")
    await backfill(query, asset=2)
    del kraken.pairs["ADAUSD"]
    await query("UPDATE assets SET price = 1, price_at = 'epoch'")

    async def priced() -> bool:
        return await query("SELECT symbol FROM assets WHERE price_at > 'epoch' ORDER BY 1") == [("XBTUSD",)]

    await until(priced)


async def test_of_two_controls_one_asks_and_the_other_takes_over(database_url: str, tmp_path: Path, query: Query) -> None:
    async with KrakenServer() as one, KrakenServer() as two, AsyncExitStack() as stack:
        first = AsyncExitStack()
        client = await first.enter_async_context(control(database_url, tmp_path, **settings(one)))
        await add(client, "XBTUSD")
        await backfill(query)
        other = await stack.enter_async_context(control(database_url, tmp_path, **settings(two)))
        await add(other, "ETHUSD")  # told to the one that has the lock
        await backfill(query, asset=2)
        assert (two.count("Ticker"), two.count("OHLC")) == (0, 0)
        await first.aclose()

        async def asks() -> bool:
            return two.count("Ticker") > 0

        await until(asks)


async def test_archives_have_the_columns_of_kraken(client: httpx.AsyncClient, query: Query) -> None:
    await add(client, "XBTUSD")
    await backfill(query)
    listed = (await client.get("/market/archives")).json()["archives"]
    assert listed == [{"name": "XBTUSD_60", "candles": 719}, {"name": "XBTUSD_1440", "candles": 719}]
    lines = (await client.get("/market/archives/XBTUSD_60.csv")).text.splitlines()
    opened = (await stored(query))[0]
    row = candle(opened, HOUR)
    assert lines[0] == ",".join(map(str, [opened, *row[1:5], row[6], row[7]]))
    assert len(lines) == 719
    for name in ("XBTUSD_5", "ETHUSD_60", "x", "_"):
        answer = await client.get(f"/market/archives/{name}.csv")
        assert answer.status_code == 404
        assert "XBTUSD_60" in answer.json()["detail"]


async def test_what_is_collected_can_be_learned_from(
    database_url: str, mlflow_url: str, tmp_path: Path, kraken: KrakenServer, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(database_url, mlflow_url, tmp_path, monkeypatch, **settings(kraken)) as platform:
        words = (await platform.step("ingest", "--source", "live", model="crypto_price", code=2))["words"]
        assert "there are no candles yet: add an asset" in words
        await add(platform.control, "XBTUSD")
        await backfill(query)
        ingested = await platform.here("ingest", "--source", "live", model="crypto_price")
        assert (ingested["source"], ingested["rows"]) == ("live", 2 * 719)
        assert (await platform.here("validate", "--run-id", ingested["run_id"], model="crypto_price"))["problems"] == []
        assert platform.mlflow.get_run(ingested["run_id"]).data.params["files"] == "XBTUSD_60.csv, XBTUSD_1440.csv"
        assert "has none" in (await platform.step("ingest", "--source", "live", model="attrition", code=2))["words"]
        for model, code in (("crypto_price", 202), ("attrition", 422)):
            asked = {"kind": "train", "model": model, "parameters": {"source": "live"}, "reason": "test", "actor": "ada"}
            assert (await platform.control.post("/workflows", json=asked)).status_code == code
