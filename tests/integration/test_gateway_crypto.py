"""Assets, candles and forecasts at the gateway: every price digit by digit, and always how old it is."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection

from services.gateway.access import Role
from services.gateway.predictions import contracts
from tests.gateway import Gateway, started

HOUR = 3600
CONTRACTS = {name: one for name, one in contracts.of_catalogue().items() if one.feed == "candles"}
ADD_ASSET = """
INSERT INTO assets (symbol, pair, wsname, base, quote, added_by, price, price_at)
VALUES (%s, %s, %s, 'XXBT', 'ZUSD', 'ada', %s, now() - %s * interval '1 second')
"""
ADD_CANDLES = """
INSERT INTO candles SELECT 1, %s, at, 100.10, 120.50 + at %% 7, 90.00001000, 110.00 + at / 3600 %% 5, 1.50000000, 7
FROM generate_series(%s::bigint, %s::bigint, %s::bigint) at
"""


def now(step: int = HOUR) -> int:
    """Open time of the running candle."""
    return int(time.time()) // step * step


def forecast(row: dict[str, Any]) -> dict[str, Any]:
    """What a runner says of candles: a little more than their last close."""
    naive = row["close"][-1]
    bounds = {"lower_80": naive - 1, "upper_80": naive + 2, "lower_95": naive - 3.5, "upper_95": naive + 5}
    known = {"prediction": naive + 0.25, "naive": naive, "direction": "up", "typical_move": 1.5, "forecast_for": row["timestamp"][-1] + row["interval"] * 60}
    return known | bounds


@pytest.fixture
async def crypto(database_url: str) -> AsyncIterator[Gateway]:
    """Not when an hour begins or ends: another candle would be the newest than the test has read, or one newer than the ticker."""
    if (late := (time.time() + 60) % HOUR - 90) < 0:
        await asyncio.sleep(-late)
    async with started(database_url, CONTRACTS) as gateway:
        gateway.runner.model = next(iter(CONTRACTS))
        gateway.runner.answer = forecast
        yield gateway


async def execute(gateway: Gateway, statement: str, *values: Any) -> None:
    async with gateway.state.pool.connection() as connection:
        await connection.execute(statement.encode(), values)


async def filled(gateway: Gateway, hours: int = 100, until: int | None = None) -> int:
    """XBTUSD with so many hours up to the running one; returns the open time of the newest."""
    newest = (now() if until is None else until) - HOUR
    await execute(gateway, ADD_ASSET, "XBTUSD", "XXBTZUSD", "XBT/USD", "64250.10000", 20)
    await execute(gateway, ADD_CANDLES, 60, newest - (hours - 1) * HOUR, newest, HOUR)
    return newest


async def get(gateway: Gateway, path: str, role: Role = Role.viewer, **query: Any) -> Any:
    answer = await gateway.client.get(path, params=query, headers=await _session(gateway, role))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _session(gateway: Gateway, role: Role) -> dict[str, str]:
    if not await gateway.query("SELECT FROM users WHERE username = %s", role.name):
        return await gateway.user(role.name, role)
    return (await gateway.log_in(role.name))[0]


async def test_assets_say_what_is_there_and_how_old_it_is(crypto: Gateway) -> None:
    newest = await filled(crypto)
    await execute(crypto, "DELETE FROM candles WHERE timestamp IN (%s, %s)", newest - 5 * HOUR, newest - 9 * HOUR)
    await execute(crypto, ADD_ASSET, "ETHUSD", "XETHZUSD", "ETH/USD", None, None)
    eth, xbt = (await get(crypto, "/crypto/assets"))["assets"]
    hourly, daily = xbt["intervals"]
    assert hourly == {"interval": 60, "candles": 98, "first": newest - 99 * HOUR, "last": newest, "gaps": 2, "stale_seconds": hourly["stale_seconds"]}
    assert 0 <= hourly["stale_seconds"] - (time.time() - newest - HOUR) + 1 < 2
    assert daily == {"interval": 1440, "candles": 0, "first": None, "last": None, "gaps": 0, "stale_seconds": None}
    assert (xbt["price"], xbt["wsname"], xbt["added_by"]) == ("64250.10000", "XBT/USD", "ada")
    assert xbt["backfill"] == {"state": "waiting", "done": 0, "total": 0, "error": None}
    assert (eth["price"], eth["price_at"]) == (None, None)


async def test_history_keeps_every_digit(crypto: Gateway) -> None:
    newest = await filled(crypto)
    history = await get(crypto, "/crypto/asset_history/XBTUSD", limit=3)
    assert [candle["timestamp"] for candle in history["candles"]] == [newest - 2 * HOUR, newest - HOUR, newest]
    assert (history["asset"], history["interval"], history["complete"]) == ("XBTUSD", 60, True)
    first = history["candles"][0]
    assert (first["open"], first["low"], first["volume"], first["trades"]) == ("100.10", "90.00001000", "1.50000000", 7)
    assert all(isinstance(first[name], str) for name in ("open", "high", "low", "close", "volume"))


@pytest.mark.parametrize("name", ["xbtusd", "BTCUSD", "btc-usd", "XXBTZUSD", "XBT_USD"])
async def test_history_by_any_name(crypto: Gateway, name: str) -> None:
    await filled(crypto, 3)
    assert (await get(crypto, f"/crypto/asset_history/{name}"))["asset"] == "XBTUSD"


async def test_history_of_a_time(crypto: Gateway) -> None:
    newest = await filled(crypto)
    begin, end = newest - 20 * HOUR, newest - 10 * HOUR
    query = {"from": str(begin - 5), "to": str(end), "interval": "1h"}
    history = await get(crypto, "/crypto/asset_history/XBTUSD", **query)
    assert ([len(history["candles"]), history["candles"][0]["timestamp"]], history["complete"]) == ([10, begin], True)
    assert not (await get(crypto, "/crypto/asset_history/XBTUSD", **query, limit=5))["complete"]
    await execute(crypto, "DELETE FROM candles WHERE timestamp = %s", begin + HOUR)
    assert not (await get(crypto, "/crypto/asset_history/XBTUSD", **query))["complete"]
    assert (await get(crypto, "/crypto/asset_history/XBTUSD", to="1980-01-01")) | {"stale_seconds": 0} == {
        "asset": "XBTUSD",
        "interval": 60,
        "candles": [],
        "stale_seconds": 0,
        "complete": False,
    }


async def test_history_as_csv(crypto: Gateway) -> None:
    newest = await filled(crypto)
    answer = await crypto.client.get("/crypto/asset_history/XBTUSD?format=csv&limit=2", headers=await _session(crypto, Role.viewer))
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="XBTUSD_60.csv"' in answer.headers["content-disposition"]
    assert (float(answer.headers["x-stale-seconds"]) >= 0, answer.headers["x-complete"]) == (True, "true")
    header, first, _ = answer.text.splitlines()
    assert header == "timestamp,open,high,low,close,volume,trades"
    assert first.split(",")[:2] == [str(newest - HOUR), "100.10"]
    assert first.split(",")[3] == "90.00001000"


async def test_old_candles_are_served_with_their_age(crypto: Gateway) -> None:
    await filled(crypto, until=now() - 50 * HOUR)
    history = await get(crypto, "/crypto/asset_history/XBTUSD")
    assert history["stale_seconds"] >= 50 * HOUR
    assert not history["complete"]


async def test_unknown_assets_are_told_with_those_there_are(crypto: Gateway) -> None:
    headers = await _session(crypto, Role.admin)
    for method, path in (("GET", "asset_history"), ("GET", "asset_latest"), ("POST", "forecasts"), ("GET", "forecasts")):
        answer = await crypto.client.request(method, f"/crypto/{path}/NOPE", headers=headers)
        assert (answer.status_code, answer.json()["assets"]) == (404, [])
    await filled(crypto, 3)
    answer = await crypto.client.get("/crypto/asset_history/NOPE", headers=headers)
    assert (answer.status_code, answer.json()["assets"]) == (404, ["XBTUSD"])
    assert answer.json()["detail"] == "There is no asset 'NOPE'; there are XBTUSD."


@pytest.mark.parametrize("query", ["interval=5", "interval=", "limit=0", "limit=20001", "from=yesterday", "format=xml", "to=99999999999999999999"])
async def test_bad_queries_are_named(crypto: Gateway, query: str) -> None:
    await filled(crypto, 3)
    answer = await crypto.client.get(f"/crypto/asset_history/XBTUSD?{query}", headers=await _session(crypto, Role.viewer))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


async def test_latest_price_is_the_newer_one(crypto: Gateway) -> None:
    newest = await filled(crypto)
    latest = await get(crypto, "/crypto/asset_latest/BTCUSD")
    assert (latest["asset"], latest["price"], latest["source"]) == ("XBTUSD", "64250.10000", "ticker")
    assert 20 <= latest["age_seconds"] < 40
    await execute(crypto, "UPDATE assets SET price_at = 'epoch'")
    latest = await get(crypto, "/crypto/asset_latest/BTCUSD")
    assert (latest["price"], latest["source"]) == (f"{110 + newest // 3600 % 5}.00", "candle")
    await execute(crypto, "DELETE FROM candles; UPDATE assets SET price = NULL, price_at = NULL")
    answer = await crypto.client.get("/crypto/asset_latest/XBTUSD", headers=await _session(crypto, Role.viewer))
    assert (answer.status_code, answer.json()["backfill"]) == (404, "waiting")


async def test_changes_go_through_control(crypto: Gateway) -> None:
    headers = await _session(crypto, Role.admin)
    await filled(crypto, 3)
    crypto.control.answers["POST /market/assets"] = (201, {"id": 1, "symbol": "XBTUSD"})
    answer = await crypto.client.post("/crypto/assets", json={"symbol": "BTC/USD"}, headers=headers)
    assert (answer.status_code, answer.json()["symbol"], answer.json()["id"]) == (201, "XBTUSD", 1)
    assert crypto.control.asked[-1] == ("POST /market/assets", {"symbol": "BTC/USD", "actor": "admin"}, "Bearer control-token")
    for status in (409, 422, 503):
        crypto.control.answers["POST /market/assets"] = (status, {"detail": "in words", "near": ["XBTUSD"]})
        answer = await crypto.client.post("/crypto/assets", json={"symbol": "BTC/USD"}, headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (status, "in words")
    crypto.control.answers["DELETE /market/assets/1"] = (204, None)
    assert (await crypto.client.delete("/crypto/assets/1", headers=headers)).status_code == 204
    assert crypto.control.asked[-1][0] == "DELETE /market/assets/1?actor=admin"
    pairs = {"pairs": [{"symbol": "XBTUSD", "wsname": None, "base": "XXBT", "quote": "ZUSD", "status": "online"}]}
    crypto.control.answers["GET /market/pairs"] = (200, pairs | {"fetched_at": "2026-11-21T10:00:00Z", "stale_seconds": 3.5})
    assert (await get(crypto, "/crypto/kraken_assets", search="xbt"))["stale_seconds"] == 3.5
    for body in ({}, {"symbol": "x"}, {"symbol": 5}, {"symbol": "XBTUSD", "more": 1}):
        assert (await crypto.client.post("/crypto/assets", json=body, headers=headers)).status_code == 422


async def ask(gateway: Gateway, interval: str = "60") -> Any:
    return await gateway.client.post(f"/crypto/forecasts/BTCUSD?interval={interval}", headers=await _session(gateway, Role.viewer))


async def test_a_forecast_is_a_prediction_like_any(crypto: Gateway) -> None:
    newest = await filled(crypto)
    answer = await ask(crypto)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["forecast_for"], said["model_version"], said["upper_95"] - said["naive"]) == (newest + HOUR, "3", 5)
    ((row,),) = crypto.runner.calls
    assert (row["asset"], row["interval"], len(row["close"]), row["timestamp"][-1]) == ("XBTUSD", 60, 24, newest)
    kept = await get(crypto, f"/predictions/{said['prediction_id']}")
    assert kept["username"] == "viewer"
    assert kept["output"]["prediction"] == said["prediction"]


async def test_too_few_candles_and_gaps_are_conflicts(crypto: Gateway) -> None:
    newest = await filled(crypto, 23)
    answer = await ask(crypto)
    assert (answer.status_code, "24 candles of 60 minutes without a gap" in answer.json()["detail"]) == (409, True)
    assert (await ask(crypto, "1d")).status_code == 409
    await execute(crypto, ADD_CANDLES, 60, newest - 30 * HOUR, newest - 23 * HOUR, HOUR)
    assert (await ask(crypto)).status_code == 201
    await execute(crypto, "DELETE FROM candles WHERE timestamp = %s", newest - 5 * HOUR)
    assert (await ask(crypto)).status_code == 409


async def test_before_it_answers_from_old_candles_it_asks_for_new_ones(crypto: Gateway) -> None:
    await filled(crypto, until=now() - 2 * HOUR)
    crypto.control.answers["POST /market/assets/1/refresh"] = (503, {"detail": "Kraken is away."})
    answer = await ask(crypto)
    assert answer.status_code == 503
    assert answer.json()["detail"].endswith("what it foretells is over. Kraken is away.")
    assert "POST /market/assets/1/refresh" in crypto.control.asked[-1][0]
    await execute(crypto, ADD_CANDLES, 60, now() - 2 * HOUR, now() - HOUR, HOUR)
    assert (await ask(crypto)).status_code == 201


async def test_a_forecast_does_not_wait_for_kraken_beyond_its_deadline(crypto: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(crypto, until=now() - 2 * HOUR)

    async def never(*_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(crypto.state.control, "change", never)
    headers = await _session(crypto, Role.viewer) | {"X-Request-Timeout": "0.3"}
    answer = await crypto.client.post("/crypto/forecasts/XBTUSD", headers=headers)
    assert (answer.status_code, "took longer than this request may" in answer.json()["detail"]) == (503, True)


async def test_forecasts_meet_what_came(crypto: Gateway) -> None:
    newest = await filled(crypto)
    await ask(crypto)
    assert (await get(crypto, "/crypto/forecasts/XBTUSD"))["coverage"] is None
    # As if the three had been asked in time.
    closes = {newest - back * HOUR: 110 + (newest // 3600 - back) % 5 for back in range(10)}
    for back in (3, 2, 1):
        before = newest - back * HOUR
        output = forecast({"close": [float(closes[before])], "timestamp": [before], "interval": 60})
        await crypto.query(
            """INSERT INTO predictions SELECT uuid7_floor(created_at + %s * interval '1 ms' - interval '1 h'), created_at, model, model_version, NULL, username,
            request_id, NULL, NULL, input, %s, score, NULL, 1 FROM predictions LIMIT 1 RETURNING id""",
            10 - back,
            json.dumps(output),
        )
    found = await get(crypto, "/crypto/forecasts/XBTUSD")
    assert [one["forecast_for"] for one in found["forecasts"]] == [newest + HOUR, newest, newest - HOUR, newest - 2 * HOUR]
    assert found["forecasts"][0]["actual"] is None
    assert [one["actual"] for one in found["forecasts"][1:]] == [f"{closes[newest - back * HOUR]}.00" for back in range(3)]
    errors = [(closes[newest - back * HOUR] - closes[newest - (back + 1) * HOUR]) for back in range(3)]
    coverage = found["coverage"]
    assert coverage["n"] == 3
    assert coverage["within_80"] == pytest.approx(sum(-1 <= error <= 2 for error in errors) / 3)
    assert coverage["within_95"] == pytest.approx(sum(-3.5 <= error <= 5 for error in errors) / 3)
    assert coverage["naive_mae"] == pytest.approx(sum(map(abs, errors)) / 3)
    assert coverage["mae"] == pytest.approx(sum(abs(error - 0.25) for error in errors) / 3)
    page = await get(crypto, "/crypto/forecasts/XBTUSD", limit=3)
    rest = await get(crypto, "/crypto/forecasts/XBTUSD", limit=3, cursor=page["next"])
    assert [*page["forecasts"], *rest["forecasts"]] == found["forecasts"]
    assert rest["next"] is None


async def test_predictions_of_other_candles_are_no_forecasts(crypto: Gateway, database_url: str) -> None:
    await filled(crypto)
    await ask(crypto)
    async with await AsyncConnection.connect(database_url) as connection:
        await connection.execute("SET LOCAL session_replication_role = replica; UPDATE predictions SET output = output || '{\"naive\": 5}'")
    assert (await get(crypto, "/crypto/forecasts/XBTUSD")) == {"forecasts": [], "coverage": None, "next": None}


async def test_versions_without_intervals_show_none(crypto: Gateway) -> None:
    await filled(crypto)
    crypto.runner.answer = lambda row: {name: value for name, value in forecast(row).items() if "_80" not in name and "_95" not in name}
    assert (await ask(crypto)).status_code == 201
    (one,) = (await get(crypto, "/crypto/forecasts/XBTUSD"))["forecasts"]
    assert (one["lower_80"], one["upper_95"]) == (None, None)


async def test_without_a_model_for_candles_there_are_no_forecasts(gateway: Gateway) -> None:
    answer = await gateway.client.get("/crypto/forecasts/XBTUSD", headers=await gateway.user("ada"))
    assert (answer.status_code, "feed" in answer.json()["detail"]) == (404, True)


async def test_the_same_key_is_the_same_forecast_although_a_candle_has_come(crypto: Gateway) -> None:
    """As the platform's own schedule asks: a step that is tried again records nothing twice."""
    await filled(crypto)
    headers = await _session(crypto, Role.viewer)
    key = headers | {"Idempotency-Key": "run-1.XBTUSD.60"}
    together = await asyncio.gather(*(crypto.client.post("/crypto/forecasts/BTCUSD", headers=key) for _ in range(5)))
    assert {answer.status_code for answer in together} == {201}
    assert len({answer.content for answer in together}) == 1
    assert sorted(answer.headers.get("Idempotency-Replayed", "") for answer in together) == ["", "true", "true", "true", "true"]
    await execute(crypto, "UPDATE candles SET close = 112 WHERE timestamp = (SELECT max(timestamp) FROM candles)")
    again = await crypto.client.post("/crypto/forecasts/XBTUSD", headers=key)
    assert (again.status_code, again.content) == (201, together[0].content)
    assert await crypto.query("SELECT count(*) FROM predictions") == [(1,)]
    other = await crypto.client.post("/crypto/forecasts/XBTUSD?interval=1440", headers=key)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert (await crypto.client.post("/crypto/forecasts/XBTUSD", headers=headers | {"Idempotency-Key": "no spaces"})).status_code == 400
    assert (await crypto.client.post("/crypto/forecasts/XBTUSD", headers=headers)).headers.get("Idempotency-Replayed") is None
