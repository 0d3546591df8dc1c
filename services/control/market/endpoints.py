from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse

from services.control.market.candles import INTERVALS
from services.control.market.schemas import Added, Archives, NewAsset, Pairs, Refreshed
from services.control.market.service import Market
from services.control.requests import Authorized, Limit, body
from services.kit.errors import NotFound

router = APIRouter(prefix="/market")


def _market(request: Request) -> Market:
    found: Market = request.state.market
    return found


Service = Annotated[Market, Depends(_market)]
AssetId = Annotated[int, Path(ge=1, lt=2**63)]


@router.get("/pairs")
async def pairs(service: Service, search: Annotated[str, Query(max_length=40)] = "", limit: Limit = 50) -> Pairs:
    """What Kraken offers."""
    return await service.pairs(search, limit)


@router.post("/assets", status_code=201, dependencies=[Authorized])
async def add(service: Service, asked: Annotated[NewAsset, body(NewAsset)]) -> Added:
    return await service.add(asked.symbol, asked.actor)


@router.delete("/assets/{asset_id}", status_code=204, dependencies=[Authorized])
async def remove(service: Service, asset_id: AssetId, actor: Annotated[str, Query(min_length=1, max_length=100)]) -> None:
    await service.remove(asset_id, actor)


@router.post("/assets/{asset_id}/refresh", dependencies=[Authorized])
async def refresh(service: Service, asset_id: AssetId) -> Refreshed:
    """Answers when the candles that were completed meanwhile are stored."""
    return await service.refresh(asset_id)


@router.get("/archives")
async def archives(service: Service) -> Archives:
    """Those with a candle at least."""
    return Archives(archives=await service.repository.archives())


@router.get("/archives/{name}.csv")
async def archive(service: Service, name: str) -> StreamingResponse:
    """An asset's candles in the columns of Kraken's OHLCVT archives: timestamp, open, high, low, close, volume, trades."""
    symbol, _, interval = name.rpartition("_")
    there = [one.name for one in await service.repository.archives()]
    if name not in there or interval not in map(str, INTERVALS):
        raise NotFound(f"There is no archive {name}; there are: {', '.join(there) or 'none'}.")
    return StreamingResponse(service.repository.archive(symbol, int(interval)), media_type="text/csv")
