"""Reading the audit."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import StreamingResponse

from services.gateway.access import Role
from services.gateway.auth.credentials import Principal
from services.gateway.guard import GuardedRoute
from services.gateway.predictions import repository
from services.gateway.predictions.contracts import named
from services.gateway.predictions.schemas import History, Moment, Prediction
from services.gateway.predictions.search import service as search
from services.gateway.predictions.search.repository import Filter, Outcome
from services.gateway.problems import problems
from services.gateway.state import Caller, Current, State
from services.kit.errors import Forbidden, NotFound

router = APIRouter(tags=["predict"], route_class=GuardedRoute)

PLAIN = r"^[^\x00]*$"
Name = Annotated[str | None, Query(max_length=63, pattern=PLAIN)]


async def wanted(
    caller: Caller,
    model: Name = None,
    version: Name = None,
    decision: Name = None,
    username: Name = None,
    begin: Annotated[Moment | None, Query(alias="from", description="UTC unless it has an offset.")] = None,
    end: Annotated[Moment | None, Query(alias="to", description="Before this moment.")] = None,
    batch_id: UUID | None = None,
    request_id: Annotated[str | None, Query(max_length=64, pattern=PLAIN, description="X-Request-ID of the answer.")] = None,
    outcome: Annotated[Outcome | None, Query(description="Whether it is known what really happened.")] = None,
) -> Filter:
    """Raises Forbidden for viewers who ask for others' rows; without a name they get their own."""
    if caller.role < Role.analyst:
        if username not in (None, caller.username):
            raise Forbidden("To see the predictions of others needs the role analyst or a higher one; you are viewer.")
        username = caller.username
    return Filter(model, version, decision, username, begin, end, batch_id, request_id, outcome)


Wanted = Annotated[Filter, Depends(wanted)]


@router.get("/predict/history", name="history", responses=problems(403))
async def history(state: Current, filters: Wanted, limit: Annotated[int, Query(ge=1, le=500)] = 50, cursor: UUID | None = None) -> History:
    """Newest first. Viewers see what they asked themselves, everybody else all of it.

    A page may have fewer rows than `limit`, even none, while `next` is there: a search for what is rare stops after a while and goes on with the cursor.
    """
    async with state.pool.connection() as connection:
        page = await search.find(connection, filters, cursor, limit)
        found = await repository.of_ids(connection, page.ids) if page.ids else []
    return History(predictions=[shown(row) for row in found], next=page.next)


CSV: dict[int | str, dict[str, Any]] = {200: {"description": "Streamed while it is read.", "content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get("/predict/history/export", name="export", response_class=StreamingResponse, responses={**CSV, **problems(404)})
async def exported(state: Current, filters: Wanted) -> StreamingResponse:
    """All that history would show, as CSV, newest first. With `model`, each field of its input and output has a column of its own."""
    contract = named(state.contracts, filters.model) if filters.model else None
    return await state.exports.begin(filters, contract)


@router.get("/predictions/{prediction_id}", name="one")
async def one(prediction_id: UUID, caller: Caller, state: Current) -> Prediction:
    """What was asked and answered, by which model and policy, and what really happened."""
    return shown(await stored(state, caller, prediction_id))


async def stored(state: State, caller: Principal, prediction_id: UUID) -> dict[str, Any]:
    """The row of the audit. Raises NotFound, also when it is somebody else's and the caller may see only their own."""
    async with state.pool.connection() as connection:
        row = await repository.one(connection, prediction_id)
    if row is None or (caller.role < Role.analyst and row["username"] != caller.username):
        raise NotFound(f"There is no prediction {prediction_id}, or it is not yours.")
    return row


def shown(row: dict[str, Any]) -> Prediction:
    return Prediction(prediction_id=row["id"], **row)
