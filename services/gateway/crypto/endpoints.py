"""Assets of the crypto market, their candles and prices. What has to be asked of the exchange goes through control."""

import csv
import io
from typing import Annotated, Any, Literal
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Path, Query, Response

from services.gateway.crypto import repository, service
from services.gateway.crypto.repository import Row
from services.gateway.crypto.schemas import MINUTES, AssetHistory, Assets, AssetShown, CandleMoment, Interval, KrakenAssets, Latest, NewAsset
from services.gateway.guard import GuardedRoute
from services.gateway.state import Caller, Current

router = APIRouter(prefix="/crypto", tags=["crypto"], route_class=GuardedRoute)

Name = Annotated[str, Path(max_length=40, description="The asset's symbol, XBTUSD; also BTCUSD or XBT-USD.")]
FOREVER = 253_402_300_800
"""The year 10000."""
COLUMNS = ("timestamp", "open", "high", "low", "close", "volume", "trades")


@router.get("/assets")
async def assets(state: Current) -> Assets:
    """Each with its last price, how many candles there are, how old the newest is, and how far its back-fill has come."""
    async with state.pool.connection() as connection:
        return Assets(assets=await service.assets(connection))


@router.post("/assets", status_code=201)
async def add_asset(body: NewAsset, caller: Caller, state: Current) -> AssetShown:
    """Its back-fill begins at once. 422 with near names when Kraken does not offer it, 503 while Kraken is away."""
    added = await state.control.change("POST", "/market/assets", {"symbol": body.symbol, "actor": caller.username})
    async with state.pool.connection() as connection:
        (asset,) = await service.assets(connection, only=added["id"])
    return asset


@router.delete("/assets/{asset_id}", status_code=204)
async def remove_asset(asset_id: Annotated[int, Path(ge=1, lt=2**63)], caller: Caller, state: Current) -> None:
    """Its candles go too; predictions stay."""
    await state.control.change("DELETE", f"/market/assets/{asset_id}?actor={quote(caller.username)}", {})


@router.get("/kraken_assets")
async def kraken_assets(state: Current, search: Annotated[str, Query(max_length=40)] = "", limit: Annotated[int, Query(ge=1, le=500)] = 50) -> KrakenAssets:
    """Pairs that Kraken offers and that have `search` in a name; those that begin with it first."""
    return KrakenAssets.model_validate(await state.control.get("/market/pairs", search=search, limit=limit))


@router.get("/asset_latest/{asset}")
async def asset_latest(asset: Name, state: Current) -> Latest:
    """The newest price that is known, and how old it is."""
    async with state.pool.connection() as connection:
        return service.latest(await service.find(connection, asset))


@router.get("/asset_history/{asset}", response_model=AssetHistory, responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}})
async def asset_history(
    asset: Name,
    state: Current,
    interval: Interval = "60",
    begin: Annotated[CandleMoment | None, Query(alias="from", description="Candles that open at this moment or later.")] = None,
    end: Annotated[CandleMoment | None, Query(alias="to", description="Candles that open before this moment.")] = None,
    limit: Annotated[int, Query(ge=1, le=20_000, description="The newest so many.")] = 720,
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
) -> Response:
    """Completed candles, oldest first, with their age. As CSV: the columns of Kraken's archives below a header line, the age in X-Stale-Seconds."""
    minutes = MINUTES[interval]
    since = None if begin is None else int(begin.timestamp())
    until = FOREVER if end is None else int(end.timestamp())
    async with state.pool.connection() as connection:
        found = await service.find(connection, asset)
        candles = await repository.candles(connection, found["id"], minutes, since or 0, until, limit)
        stale = service.stale(await repository.newest(connection, found["id"], minutes), minutes)
    complete = service.is_complete(candles, minutes, since, until)
    if form == "csv":
        return _csv(found["symbol"], minutes, candles, stale, complete)
    document = {"asset": found["symbol"], "interval": minutes, "candles": candles, "stale_seconds": stale, "complete": complete}
    return Response(orjson.dumps(document), media_type="application/json")


def _csv(symbol: str, minutes: int, candles: list[Row], stale: float | None, complete: bool) -> Response:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(candles)
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{symbol}_{minutes}.csv"', "X-Complete": str(complete).lower()}
    if stale is not None:
        headers["X-Stale-Seconds"] = f"{stale}"
    return Response(text.getvalue(), media_type="text/csv", headers=headers)
