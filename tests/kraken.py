"""Kraken's public REST API in small: what its documentation says, for a market that trades once a minute, and faults on demand."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes import Served

LISTED = 720
TRADES_LISTED = 1000
NS = 1_000_000_000
EVERY = 600
"""Seconds between two trades."""

Fault = Callable[[web.Request], web.Response] | float
"""What is answered instead; or seconds to wait before the right answer."""

PAIRS: dict[str, dict[str, Any]] = {
    "XXBTZUSD": {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online"},
    "XXBTZUSD.d": {"altname": "XBTUSD.d", "base": "XXBT", "quote": "ZUSD"},
    "XETHZUSD": {"altname": "ETHUSD", "wsname": "ETH/USD", "base": "XETH", "quote": "ZUSD", "status": "online"},
    "XETHXXBT": {"altname": "ETHXBT", "wsname": "ETH/XBT", "base": "XETH", "quote": "XXBT", "status": "online"},
    "XXDGZUSD": {"altname": "XDGUSD", "wsname": "XDG/USD", "base": "XXDG", "quote": "ZUSD", "status": "cancel_only"},
    "ADAUSD": {"altname": "ADAUSD", "wsname": "ADA/USD", "base": "ADA", "quote": "ZUSD", "status": "online"},
}


def refusal(*errors: str) -> Fault:
    """As Kraken refuses: with status 200, and without a result."""
    return lambda _: web.json_response({"error": list(errors)})


def status(code: int, body: str = "", **headers: str) -> Fault:
    return lambda _: web.Response(status=code, text=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def text(body: str) -> Fault:
    return lambda _: web.Response(text=body, content_type="application/json")


def price(moment: int) -> str:
    """Of the trade at that time; all digits count."""
    return f"{30_000 + moment // EVERY * 37 % 1009}.{moment // EVERY % 10}0010"


class KrakenServer(Served):
    """`async with KrakenServer() as kraken: kraken.url; kraken.faults.append(refusal("EAPI:Rate limit exceeded"))`"""

    def __init__(self, *, began: int = 0) -> None:
        """`began`: nothing was traded before."""
        super().__init__()
        self.pairs = dict(PAIRS)
        self.began = began
        self.faults: list[Fault] = []
        """Each is the answer to one call."""
        self.always: Fault | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.recorded: dict[str, Any] = {}
        """Whole answers by endpoint, which go before all else."""

    async def handle(self, request: web.Request) -> web.Response:
        endpoint = request.path.rpartition("/")[2]
        self.asked.append((endpoint, dict(request.query)))
        fault = self.faults.pop(0) if self.faults else self.always
        if isinstance(fault, float):
            await asyncio.sleep(fault)
        elif fault is not None:
            return fault(request)
        if endpoint in self.recorded:
            return web.Response(text=json.dumps(self.recorded[endpoint]), content_type="application/json")
        answer = {"AssetPairs": self._pairs, "Ticker": self._ticker, "OHLC": self._ohlc, "Trades": self._trades}[endpoint]
        return web.json_response(answer(dict(request.query)))

    def count(self, endpoint: str) -> int:
        return sum(one == endpoint for one, _ in self.asked)

    def _key(self, name: str) -> str | None:
        return next((key for key, about in self.pairs.items() if name in (key, about["altname"], about.get("wsname"))), None)

    def _pairs(self, _: dict[str, str]) -> dict[str, Any]:
        return {"error": [], "result": self.pairs}

    def _ticker(self, query: dict[str, str]) -> dict[str, Any]:
        keys = [self._key(name) for name in query["pair"].split(",")]
        if None in keys:
            return {"error": ["EQuery:Unknown asset pair"]}
        now = price(int(time.time()))
        return {"error": [], "result": {key: {"a": [now, "1", "1.000"], "b": [now, "1", "1.000"], "c": [now, "0.00067643"], "o": now} for key in keys}}

    def _ohlc(self, query: dict[str, str]) -> dict[str, Any]:
        key, interval = self._key(query["pair"]), int(query["interval"])
        if key is None:
            return {"error": ["EQuery:Unknown asset pair"]}
        if interval not in (1, 5, 15, 30, 60, 240, 1440, 10080, 21600):
            return {"error": ["EGeneral:Invalid arguments"]}
        step = interval * 60
        running = int(time.time()) // step * step
        rows = [candle(opened, step) for opened in range(max(running - (LISTED - 1) * step, -(-self.began // step) * step), running + 1, step)]
        rows = [row for row in rows if row[0] >= int(query.get("since", 0))]
        return {"error": [], "result": {key: rows, "last": running - step}}

    def _trades(self, query: dict[str, str]) -> dict[str, Any]:
        key, since = self._key(query["pair"]), int(query["since"])
        if key is None:
            return {"error": ["EQuery:Unknown asset pair"]}
        first = max((since // NS) // EVERY * EVERY + EVERY, -(-self.began // EVERY) * EVERY)
        times = [moment for moment in range(first, min(first + TRADES_LISTED * EVERY, int(time.time())), EVERY) if moment * NS > since]
        rows = [[price(moment), "0.50000000", moment + 0.0001, "b", "l", "", moment] for moment in times]
        return {"error": [], "result": {key: rows, "last": str(times[-1] * NS + 100_000 if times else since)}}


def candle(opened: int, step: int) -> list[Any]:
    """A row of OHLC: the trades of its time, added up."""
    prices = [price(moment) for moment in range(opened, opened + step, EVERY)]
    ranked = sorted(prices, key=float)
    return [opened, prices[0], ranked[-1], ranked[0], prices[-1], prices[0], f"{len(prices) / 2:.8f}", len(prices)]
