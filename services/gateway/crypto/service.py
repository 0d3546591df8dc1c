"""From stored assets and candles to what is shown of them, always with its age."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from services.gateway.crypto import repository
from services.gateway.crypto.repository import Row
from services.gateway.crypto.schemas import INTERVALS, AssetShown, BackfillShown, Latest, Series
from services.kit.errors import NotFound
from services.kit.pairs import Names, Pair
from services.kit.postgres import Connection


async def find(connection: Connection, name: str) -> Row:
    """By any spelling of its name. Raises NotFound, listing those that are there."""
    found = await repository.assets(connection)
    names = Names(Pair(one["pair"], one["symbol"], one["wsname"], one["base"], one["quote"], "") for one in found)
    pair = names.find(name)
    if pair is None:
        known = [one["symbol"] for one in found]
        raise NotFound(f"There is no asset {name[:40]!r}; there {'are' if known else 'is'} {', '.join(known) or 'none yet'}.", extra={"assets": known})
    return next(one for one in found if one["symbol"] == pair.symbol)


async def assets(connection: Connection, only: int | None = None) -> list[AssetShown]:
    found = [one for one in await repository.assets(connection) if only in (None, one["id"])]
    stored = {(one["asset_id"], one["interval"]): one for one in await repository.series(connection)}
    return [_shown(one, stored) for one in found]


def _shown(asset: Row, stored: Mapping[tuple[int, int], Row]) -> AssetShown:
    price, at, _ = newest_price(asset)
    backfill = BackfillShown.model_validate({name: asset["backfill"].get(name) for name in BackfillShown.model_fields})
    listed = [_series(interval, stored.get((asset["id"], interval))) for interval in INTERVALS]
    own = {name: value for name, value in asset.items() if name in AssetShown.model_fields}
    return AssetShown(**own | {"intervals": listed, "price": price, "price_at": at, "backfill": backfill})


def _series(interval: int, stored: Row | None) -> Series:
    if stored is None:
        return Series.model_validate({"interval": interval, "candles": 0, "first": None, "last": None, "gaps": 0, "stale_seconds": None})
    due = (stored["last"] - stored["first"]) // (interval * 60) + 1
    return Series.model_validate(stored | {"gaps": due - stored["candles"], "stale_seconds": stale(stored["last"], interval)})


def stale(newest: int | None, interval: int) -> float | None:
    """Seconds since the candle that opened then ended."""
    return None if newest is None else round(max(0.0, time.time() - newest - interval * 60), 3)


def newest_price(asset: Row) -> tuple[str | None, datetime | None, str]:
    """Price, its time, and whether the ticker or the last hour's candle knows it."""
    if asset["price_at"] is not None and (asset["closed_at"] is None or asset["price_at"] >= asset["closed_at"]):
        return asset["price"], asset["price_at"], "ticker"
    return asset["close"], asset["closed_at"], "candle"


def latest(asset: Row) -> Latest:
    """Raises NotFound while nothing is known."""
    price, at, source = newest_price(asset)
    if price is None or at is None:
        raise NotFound(f"{asset['symbol']} has no price yet: its back-fill {asset['backfill']['state']}.", extra={"backfill": asset["backfill"]["state"]})
    age = max(0.0, (datetime.now(UTC) - at).total_seconds())
    return Latest.model_validate({"asset": asset["symbol"], "price": price, "at": at, "age_seconds": round(age, 3), "source": source})


def is_complete(candles: Sequence[Row], interval: int, begin: int | None, end: int) -> bool:
    """`begin` is what was asked for, if anything was, `end` the moment before which the candles opened."""
    step = interval * 60
    if not candles:
        return False
    first = candles[0]["timestamp"] if begin is None else -(-begin // step) * step
    last = min(-(-end // step) * step, int(time.time()) // step * step) - step
    return len(candles) == (last - first) // step + 1
