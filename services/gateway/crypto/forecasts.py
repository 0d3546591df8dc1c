"""Forecasts of an asset's next candle, and what became of them."""

import asyncio
import time
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.gateway import deadlines
from services.gateway.crypto import repository, service
from services.gateway.crypto.endpoints import Name
from services.gateway.crypto.repository import Row
from services.gateway.crypto.schemas import MINUTES, Coverage, Forecast, Forecasts, Interval, PastForecast
from services.gateway.guard import GuardedRoute
from services.gateway.predictions import idempotency
from services.gateway.predictions import service as predictions
from services.gateway.predictions.contracts import Contract, Contracts
from services.gateway.predictions.service import Asked
from services.gateway.state import Caller, Current, State
from services.kit.errors import Conflict, NotFound, Problem, Unavailable

router = APIRouter(prefix="/crypto", tags=["crypto"], route_class=GuardedRoute)

FEED = "candles"
MEASURED = 1000
"""Newest forecasts that coverage and errors are made of."""
SERIES = ("open", "high", "low", "close", "volume")


@router.post("/forecasts/{asset}", status_code=201, response_model=Forecast)
async def forecast(asset: Name, request: Request, caller: Caller, state: Current, interval: Interval = "60") -> Response:
    """Asks the model that forecasts candles with the newest stored ones; audited as any prediction. 409 while there are too few without a gap.

    Sent again with the same Idempotency-Key within 24 hours, it tells the first forecast again, also when newer candles have come meanwhile.
    """
    contract = of_feed(state.contracts)
    until = deadlines.of_request(request.scope["headers"], contract.timeout)
    asked = Asked(caller.username, request.state.request_id, time.perf_counter(), until)
    given = idempotency.given(request.scope)
    if given is None:
        return Response(await make(state, contract, asset, MINUTES[interval], asked), 201, media_type="application/json")
    answer, replayed = await once(state, contract, asset, MINUTES[interval], asked, given)
    headers = {name.decode(): value.decode() for name, value in [idempotency.REPLAYED]} if replayed else {}
    return Response(answer, 201, headers, media_type="application/json")


@router.get("/forecasts/{asset}")
async def forecasts(
    asset: Name, state: Current, interval: Interval = "60", limit: Annotated[int, Query(ge=1, le=500)] = 50, cursor: UUID | None = None
) -> Forecasts:
    """Newest first, each beside the close that came; and how often the truth lay within the intervals."""
    contract, minutes = of_feed(state.contracts), MINUTES[interval]
    async with state.pool.connection() as connection:
        found = await service.find(connection, asset)
        rows = await repository.forecasts(connection, contract.name, found, minutes, cursor, limit + 1)
        measured = await repository.coverage(connection, contract.name, found, minutes, MEASURED)
    shown = [PastForecast.model_validate(row | {"actual": None if row["actual"] is None else str(row["actual"])}) for row in rows[:limit]]
    coverage = Coverage.model_validate(measured) if measured["n"] else None
    return Forecasts(forecasts=shown, coverage=coverage, next=shown[-1].prediction_id if len(rows) > limit else None)


def of_feed(contracts: Contracts) -> Contract:
    """The model whose rows are candles. Raises NotFound."""
    for contract in contracts.values():
        if contract.feed == FEED:
            return contract
    raise NotFound("No model of the catalogue has the feed `candles`, so there are no forecasts.")


async def make(state: State, contract: Contract, name: str, minutes: int, asked: Asked) -> bytes:
    """The answer as POST /predict/{model} gives it. Raises what that raises, NotFound, Conflict for too few candles, Unavailable for old ones."""
    async with state.pool.connection() as connection:
        asset = await service.find(connection, name)
    row = await _encoded(state, contract, asset, minutes, asked.deadline)
    state.admission.enter(state.runners[contract.name], asked.deadline)
    try:
        recorded = await predictions.predict(state, contract, asked, row)
        state.spool.answered.add(1)
    finally:
        state.admission.leave()
    return recorded.answer(contract)


async def once(state: State, contract: Contract, name: str, minutes: int, asked: Asked, value: str) -> tuple[bytes, bool]:
    """The answer to the first request with this key, and whether there was one before. Raises what `make` raises, and Invalid for another request's key."""
    async with state.pool.connection() as connection:
        asset = await service.find(connection, name)
    key = idempotency.key_of(asked.username, value, b"/crypto/forecasts", str(asset["symbol"]).encode(), str(minutes).encode())
    state.admission.enter(state.runners[contract.name], asked.deadline)
    try:
        made = partial(_encoded, state, contract, asset, minutes, asked.deadline)
        recorded, replayed = await idempotency.once(state, contract, asked, key, made)
        if not replayed:
            state.spool.answered.add(1)
    finally:
        state.admission.leave()
    return recorded.answer(contract), replayed


async def _encoded(state: State, contract: Contract, asset: Row, minutes: int, deadline: float) -> bytes:
    return contract.encode(contract.decode_python(await _row(state, contract, asset, minutes, deadline)))


async def _row(state: State, contract: Contract, asset: Row, minutes: int, deadline: float) -> Row:
    """The model's input from the newest candles: as few as it takes."""
    needed: int = contract.schema.Input.model_json_schema()["properties"]["timestamp"]["minItems"]
    candles, step = await _newest(state, asset, minutes, needed), minutes * 60
    if candles and _over(candles, step):
        words = await _refreshed(state, asset, deadline)
        candles = await _newest(state, asset, minutes, needed)
        if _over(candles, step):
            age = service.stale(candles[-1]["timestamp"], minutes)
            raise Unavailable(f"The newest candle of {asset['symbol']} ended {age:.0f} s ago: what it foretells is over.{words}", retry_after=30)
    whole = len(candles) == needed and candles[-1]["timestamp"] - candles[0]["timestamp"] == (needed - 1) * step
    if not whole:
        state_of = asset["backfill"]["state"]
        raise Conflict(f"{needed} candles of {minutes} minutes without a gap are needed up to the newest of {asset['symbol']}; its back-fill is {state_of}.")
    listed = {name: [float(candle[name]) for candle in candles] for name in SERIES}
    counted = {name: [candle[name] for candle in candles] for name in ("timestamp", "trades")}
    return {"asset": asset["symbol"], "interval": minutes, "as_of": int(time.time()), **listed, **counted}


async def _refreshed(state: State, asset: Row, deadline: float) -> str:
    """Why the newest candles did not come; nothing when they did, or do not exist."""
    try:
        async with asyncio.timeout_at(deadline):
            await state.control.change("POST", f"/market/assets/{asset['id']}/refresh", {})
    except Problem as problem:
        return f" {problem.detail}"
    except TimeoutError:
        return " Fetching newer ones took longer than this request may."
    return ""


def _over(candles: list[Row], step: int) -> bool:
    """The candle after the newest has ended too."""
    return bool(candles[-1]["timestamp"] + 2 * step <= time.time())


async def _newest(state: State, asset: Row, minutes: int, count: int) -> list[Row]:
    async with state.pool.connection() as connection:
        return await repository.candles(connection, asset["id"], minutes, 0, int(time.time()), count)
