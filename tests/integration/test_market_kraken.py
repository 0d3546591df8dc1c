"""The client of Kraken against a small Kraken: documented answers, recorded ones, and everything that goes wrong."""

import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.control import metrics
from services.control.market.kraken import Away, Kraken, Refused
from tests.kraken import KrakenServer, candle, refusal, status, text


@pytest.fixture
async def server() -> AsyncIterator[KrakenServer]:
    async with KrakenServer() as running:
        yield running


@pytest.fixture
async def kraken(server: KrakenServer) -> AsyncIterator[Kraken]:
    async with aiohttp.ClientSession() as session:
        yield Kraken(session, server.url, spacing=0, first_pause=0.05, seconds=2.0)


def calls(endpoint: str, outcome: str) -> float:
    found: float = metrics.KRAKEN_REQUESTS.labels(endpoint, outcome)._value.get()
    return found


async def test_pairs_without_the_dark_pool(kraken: Kraken) -> None:
    found = {pair.key: pair for pair in await kraken.pairs(5)}
    assert "XXBTZUSD.d" not in found
    assert found["XXBTZUSD"].symbol == "XBTUSD"
    assert found["XXDGZUSD"].status == "cancel_only"


async def test_the_running_candle_is_never_listed(kraken: Kraken, server: KrakenServer) -> None:
    now = int(time.time())
    listing = await kraken.candles("XXBTZUSD", 60, 0, 5)
    running = now // 3600 * 3600
    assert [one.timestamp for one in listing.candles] == list(range(running - 719 * 3600, running, 3600))
    assert not listing.all_there_are
    assert str(listing.candles[-1].close) == candle(running - 3600, 3600)[4]
    some = await kraken.candles("XXBTZUSD", 1440, now - 3 * 86400, 5)
    assert len(some.candles) == 2
    server.began = now - 10 * 3600
    assert (await kraken.candles("XXBTZUSD", 60, 0, 5)).all_there_are


async def test_without_last_the_clock_decides(kraken: Kraken, server: KrakenServer) -> None:
    now = int(time.time()) // 3600 * 3600
    rows = [candle(at, 3600) for at in (now - 7200, now - 3600, now)]
    server.recorded["OHLC"] = {"error": [], "result": {"XXBTZUSD": rows}}
    assert [one.timestamp for one in (await kraken.candles("XXBTZUSD", 60, 0, 5)).candles] == [now - 7200, now - 3600]
    server.recorded["OHLC"]["result"]["last"] = now  # as if the running one were final
    assert [one.timestamp for one in (await kraken.candles("XXBTZUSD", 60, 0, 5)).candles] == [now - 7200, now - 3600]
    server.recorded["OHLC"] = {"error": [], "result": {"XXBTZUSD": rows[-1:]}}
    assert (await kraken.candles("XXBTZUSD", 60, 0, 5)).candles == []


@pytest.mark.parametrize(
    "fault",
    [
        refusal("EAPI:Rate limit exceeded"),
        refusal("EGeneral:Too many requests"),
        refusal("EService: Throttled: 1700000000"),
        status(429, "slow down"),
        status(429, Retry_After="0"),
    ],
)
async def test_too_many_calls_are_made_again_later(kraken: Kraken, server: KrakenServer, fault: Any) -> None:
    server.faults += [fault, fault]
    began, limited = time.monotonic(), calls("Ticker", "limited")
    assert set(await kraken.prices(["XXBTZUSD"], 5)) == {"XXBTZUSD"}
    assert time.monotonic() - began >= 0.05 + 0.1  # the pauses double
    assert (len(server.asked), calls("Ticker", "limited") - limited) == (3, 2)


async def test_nobody_waits_longer_than_he_wants(kraken: Kraken, server: KrakenServer) -> None:
    server.always = status(429, Retry_After="30")
    began = time.monotonic()
    with pytest.raises(Away, match="limits how often it is asked: no call is allowed for another 30 s"):
        await kraken.prices(["XXBTZUSD"], 1)
    with pytest.raises(Away, match="no call is allowed"):
        await kraken.pairs(1)
    assert time.monotonic() - began < 1
    assert len(server.asked) == 1


async def test_calls_keep_their_distance(server: KrakenServer) -> None:
    async with aiohttp.ClientSession() as session:
        spaced = Kraken(session, server.url, spacing=0.1)
        began = time.monotonic()
        for _ in range(3):
            await spaced.prices(["XXBTZUSD"], 5)
    assert 0.2 <= time.monotonic() - began < 1


@pytest.mark.parametrize("error", ["EQuery:Unknown asset pair", "EGeneral:Invalid arguments", "EGeneral:Unknown method"])
async def test_a_refusal_is_no_outage(kraken: Kraken, server: KrakenServer, error: str) -> None:
    server.faults.append(refusal(error))
    with pytest.raises(Refused, match=error):
        await kraken.prices(["NOTAPAIR"], 5)
    assert metrics.KRAKEN_UP._value.get() == 1


@pytest.mark.parametrize(
    "fault",
    [
        refusal("EService:Unavailable"),
        refusal("EService:Busy"),
        refusal("EGeneral:Internal error"),
        status(502, "<html>Bad gateway</html>"),
        status(403, "blocked"),
        3.0,
        text(""),
        text("<html>"),
        text("[]"),
        text("{}"),
        text('{"error": []}'),
        text('{"error": [], "result": null}'),
        text('{"error": [], "result": []}'),
        text('{"error": [], "result": {"XXBTZUSD": []}}'),
        text('{"error": [], "result": {"XXBTZUSD": {"c": ["NaN"]}}}'),
        text('{"error": [], "result": {"XXBTZUSD": {"c": [NaN]}}}'),
        text('{"error": [], "result": {"XXBTZUSD": {"c": []}}}'),
        text('{"error": [], "result": ' + "[" * 100_000),
    ],
)
async def test_whatever_else_is_an_outage_in_words(kraken: Kraken, server: KrakenServer, fault: Any) -> None:
    server.faults.append(fault)
    with pytest.raises(Away, match=r"^Kraken"):
        await kraken.prices(["XXBTZUSD"], 5)
    assert metrics.KRAKEN_UP._value.get() == 0
    await kraken.prices(["XXBTZUSD"], 5)
    assert metrics.KRAKEN_UP._value.get() == 1


@pytest.mark.parametrize(
    "rows",
    ['[["x"]]', "[[]]", "{}", "null", '[[1688671201, "1", "1", "1", "1", "1", "1", 1], [1688674800, "1", "1", "1", "1", "1", "1", 1]]'],
)
async def test_garbage_among_candles_is_none(kraken: Kraken, server: KrakenServer, rows: str) -> None:
    server.faults.append(text(f'{{"error": [], "result": {{"XXBTZUSD": {rows}, "last": 1688674800}}}}'))
    with pytest.raises(Away, match="is not understood"):
        await kraken.candles("XXBTZUSD", 60, 0, 5)


async def test_a_warning_is_no_error(kraken: Kraken, server: KrakenServer) -> None:
    server.faults.append(text('{"error": ["WGeneral:Something changes soon"], "result": {"XXBTZUSD": {"c": ["5.0100", "1"]}}}'))
    assert await kraken.prices(["XXBTZUSD"], 5) == {"XXBTZUSD": Decimal("5.0100")}


async def test_nobody_listens(free_port: int, caplog: pytest.LogCaptureFixture) -> None:
    async with aiohttp.ClientSession() as session:
        alone = Kraken(session, f"http://127.0.0.1:{free_port}", spacing=0)
        for _ in range(3):
            with pytest.raises(Away, match="cannot be reached"):
                await alone.pairs(5)
    assert [record.message for record in caplog.records if "Kraken" in record.message] == ["Kraken is away; prices and candles stay as they are"]


def recorded(shared_data: Path, name: str) -> Any:
    path = shared_data / "kraken_api" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"the recorded answer {name} is not beside the repository")
    return json.loads(path.read_text())


@pytest.mark.parametrize(("name", "count"), [("assetpairs_2020", 75), ("assetpairs_2025", 3), ("docs_example_AssetPairs", 2)])
async def test_recorded_pairs(kraken: Kraken, server: KrakenServer, shared_data: Path, name: str, count: int) -> None:
    server.recorded["AssetPairs"] = recorded(shared_data, name)
    pairs = await kraken.pairs(5)
    assert len(pairs) == count
    assert {"XBTUSD", "ETHXBT"} & {pair.symbol for pair in pairs}


async def test_recorded_candles(kraken: Kraken, server: KrakenServer, shared_data: Path) -> None:
    server.recorded["OHLC"] = answer = recorded(shared_data, "ohlc_XXBTZUSD_1m_2017-08-11")
    rows = answer["result"]["XXBTZUSD"]
    found = (await kraken.candles("XXBTZUSD", 1, 0, 5)).candles
    assert (len(rows), len(found)) == (720, 719)
    assert [str(one) for one in found[0][1:6]] == [rows[0][at] for at in (1, 2, 3, 4, 6)]
    assert found[-1].timestamp == answer["result"]["last"] == rows[-2][0]


@pytest.mark.parametrize(("name", "last"), [("docs_example_Ticker", "30303.20000"), ("ticker_XXBTZEUR_2014", "560.87711")])
async def test_recorded_tickers_old_and_new(kraken: Kraken, server: KrakenServer, shared_data: Path, name: str, last: str) -> None:
    server.recorded["Ticker"] = recorded(shared_data, name)
    assert list(map(str, (await kraken.prices(["whatever"], 5)).values())) == [last]


async def test_recorded_trades(kraken: Kraken, server: KrakenServer, shared_data: Path) -> None:
    server.recorded["Trades"] = recorded(shared_data, "trades_XXBTZUSD")
    trades, last = await kraken.trades("XXBTZUSD", 0, 5)
    assert (str(trades[0].price), str(trades[0].volume), trades[0].time) == ("1023.82219", "0.00435995", Decimal("1385579841.7774"))
    assert last == 1385579841881785998


async def test_recorded_errors(kraken: Kraken, server: KrakenServer, shared_data: Path) -> None:
    for one in recorded(shared_data, "errors")["errors"]:
        server.always = refusal(*one["body"]["error"])
        with pytest.raises((Away, Refused)):
            await kraken.prices(["XXBTZUSD"], 0.01)
        server.always = None
