"""Client of Kraken's public REST API. https://docs.kraken.com/api/docs/rest-api/get-ohlc-data and its neighbours.

Errors come in a list inside answers with status 200; fields come and go over the years, so that only what is needed is looked at.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import aiohttp

from services.control import metrics
from services.control.market.candles import Candle, Trade, number, of_row
from services.control.market.pacing import Limited, Pace, TooLong
from services.kit.pairs import Pair

log = logging.getLogger(__name__)

T = TypeVar("T")

SPACING = 1.1
"""Seconds between two calls: once a second is what Kraken takes without end."""
FIRST_PAUSE = 2.0
SECONDS = 10.0
LEAST_SECONDS = 1.0
"""Of one call, however late its turn came."""
MOST_BYTES = 32 * 1024 * 1024
LISTED = 720
"""Candles that Kraken lists at most, the newest, the running one among them."""
LOCKOUT_SECONDS = 300.0
FEW = ("Rate limit exceeded", "Too many requests", "Throttled", "Temporary lockout")
LATER = ("EService", "EGeneral:Internal error", "EGeneral:Temporary")


class Away(Exception):
    """Kraken cannot be reached, is busy with itself, or answers something else than it documents."""


class Refused(Exception):
    """Kraken does not know what it was asked for."""


class Listing(NamedTuple):
    candles: list[Candle]
    """Completed ones, oldest first."""
    all_there_are: bool
    """There are no older ones."""


class Kraken:
    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, spacing: float = SPACING, first_pause: float = FIRST_PAUSE, seconds: float = SECONDS
    ) -> None:
        self._session, self._url, self._seconds = session, url.rstrip("/"), seconds
        self._pace = Pace(spacing, first_pause)
        self._up: bool | None = None

    async def pairs(self, patience: float) -> list[Pair]:
        """All pairs but those of the dark pool, which had no wsname."""
        return await self._ask("AssetPairs", patience, lambda found: [_pair(key, about) for key, about in found.items() if not key.endswith(".d")])

    async def prices(self, pairs: Sequence[str], patience: float) -> dict[str, Decimal]:
        """The last trade's price by the pair's own key. Raises Refused when one of the pairs is unknown."""
        return await self._ask("Ticker", patience, lambda found: {key: number(about["c"][0]) for key, about in found.items()}, pair=",".join(pairs))

    async def candles(self, pair: str, interval: int, since: int, patience: float) -> Listing:
        """Those that opened at `since` or later, if they are among the newest LISTED. The running one is left out."""
        step = interval * 60

        def read(found: dict[str, Any]) -> Listing:
            rows = _of_pair(found, pair)
            # `last` is the last candle that is final; the clock guards against an answer without it.
            last = min(int(found.get("last", rows[-2][0] if len(rows) > 1 else 0)), int(time.time()) - step)
            candles = [of_row(row, step) for row in rows if row[0] <= last]
            if any(after.timestamp <= before.timestamp for before, after in pairwise(candles)):
                raise ValueError("the candles are not in the order of time")
            return Listing([candle for candle in candles if candle.timestamp >= since], len(rows) < LISTED and since <= 0)

        return await self._ask("OHLC", patience, read, pair=pair, interval=interval, **({"since": since} if since > 0 else {}))

    async def trades(self, pair: str, since: int, patience: float) -> tuple[list[Trade], int]:
        """The first thousand or so after `since`, in nanoseconds, and the moment to go on from."""

        def read(found: dict[str, Any]) -> tuple[list[Trade], int]:
            trades = [Trade(number(row[0]), number(row[1]), number(row[2])) for row in _of_pair(found, pair)]
            return trades, int(found["last"])

        return await self._ask("Trades", patience, read, pair=pair, since=since)

    async def _ask(self, endpoint: str, patience: float, read: Callable[[dict[str, Any]], T], **query: Any) -> T:
        """Waits its turn and tries again while Kraken wants fewer calls, `patience` seconds long. Raises Away or Refused."""
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                await self._pace.turn(deadline)
                answer = read(await self._once(endpoint, query, deadline))
            except TooLong as error:
                raise Away(f"Kraken limits how often it is asked: {error}") from None
            except Limited as error:
                metrics.KRAKEN_REQUESTS.labels(endpoint, "limited").inc()
                self._pace.slow_down(error.after)
            except Refused:
                metrics.KRAKEN_REQUESTS.labels(endpoint, "refused").inc()
                self._reached(None)
                raise
            except Away as error:
                metrics.KRAKEN_REQUESTS.labels(endpoint, "away").inc()
                self._reached(error)
                raise
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                metrics.KRAKEN_REQUESTS.labels(endpoint, "garbage").inc()
                garbage = Away(f"Kraken's answer to {endpoint} is not understood: {error}")
                self._reached(garbage)
                raise garbage from None
            else:
                metrics.KRAKEN_REQUESTS.labels(endpoint, "ok").inc()
                self._pace.well()
                self._reached(None)
                return answer

    async def _once(self, endpoint: str, query: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The result of one call. Raises Limited, Refused, Away, ValueError."""
        started = time.perf_counter()
        seconds = min(self._seconds, max(deadline - asyncio.get_running_loop().time(), LEAST_SECONDS))
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.get(f"{self._url}/0/public/{endpoint}", params=query, timeout=timeout) as response:
                content = bytearray()
                async for chunk in response.content.iter_chunked(1 << 16):
                    content += chunk
                    if len(content) > MOST_BYTES:
                        raise Away(f"Kraken's answer to {endpoint} is larger than {MOST_BYTES} bytes")
        except TimeoutError:
            raise Away(f"Kraken did not answer within {seconds:.0f} s") from None
        except aiohttp.ClientError as error:
            raise Away(f"Kraken cannot be reached: {str(error) or type(error).__name__}") from None
        finally:
            metrics.KRAKEN_SECONDS.labels(endpoint).observe(time.perf_counter() - started)
        return _result(response.status, response.headers.get("Retry-After", ""), bytes(content))

    def _reached(self, error: Away | None) -> None:
        """Says it once when Kraken goes away, and once when it is back."""
        up = error is None
        metrics.KRAKEN_UP.set(up)
        if up is not self._up:
            if error is not None:
                log.warning("Kraken is away; prices and candles stay as they are", extra={"error": str(error)})
            elif self._up is False:
                log.info("Kraken answers again")
        self._up = up


def _result(status: int, retry_after: str, content: bytes) -> dict[str, Any]:
    """The errors have the first word, whatever the status."""
    try:
        answer = json.loads(content, parse_float=Decimal, parse_constant=number)
        errors = [str(error) for error in answer["error"] if not str(error).startswith("W")]
    except (ValueError, LookupError, TypeError, RecursionError):
        answer, errors = None, []
    if errors:
        raise _error(errors)
    if status == 429:
        raise Limited("HTTP 429", float(retry_after) if retry_after.isdecimal() else 0.0)
    if status != 200:
        raise Away(f"Kraken answered with HTTP {status}")
    if answer is None:
        raise ValueError("it is not the documented JSON")
    result = answer["result"]
    if not isinstance(result, dict):
        raise TypeError("`result` is no object")
    return result


def _error(errors: list[str]) -> Exception:
    words = "; ".join(errors)[:300]
    if any(few in words for few in FEW):
        until = next((int(part) for part in words.replace(";", " ").split() if part.isdecimal()), 0)
        after = LOCKOUT_SECONDS if "lockout" in words else min(max(0.0, until - time.time()), LOCKOUT_SECONDS)
        return Limited(words, after)
    if any(error.startswith(LATER) for error in errors):
        return Away(f"Kraken says {words}")
    return Refused(f"Kraken says {words}")


def _of_pair(found: dict[str, Any], pair: str) -> list[Any]:
    """Asked by its own key, a pair is listed under it; else under the only key there is besides `last`."""
    others = [key for key in found if key != "last"]
    rows = found[pair] if pair in found or len(others) != 1 else found[others[0]]
    if not isinstance(rows, list):
        raise TypeError("the rows are no list")
    return rows


def _pair(key: str, about: dict[str, Any]) -> Pair:
    wsname, status = about.get("wsname"), about.get("status")
    return Pair(key, str(about["altname"]), str(wsname) if wsname else None, str(about["base"]), str(about["quote"]), str(status or "online"))
