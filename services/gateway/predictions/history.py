"""Reading the audit."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from services.gateway.access import Role
from services.gateway.guard import GuardedRoute
from services.gateway.predictions import repository
from services.gateway.predictions.repository import Filter
from services.gateway.predictions.schemas import History, Moment, Prediction
from services.gateway.state import Caller, Current
from services.kit.errors import Forbidden, NotFound

router = APIRouter(tags=["predict"], route_class=GuardedRoute)

Name = Annotated[str | None, Query(max_length=63)]


@router.get("/predict/history")
async def history(
    caller: Caller,
    state: Current,
    model: Name = None,
    version: Name = None,
    decision: Name = None,
    username: Name = None,
    begin: Annotated[Moment | None, Query(alias="from")] = None,
    end: Annotated[Moment | None, Query(alias="to", description="Before this moment.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: UUID | None = None,
) -> History:
    """Newest first. Viewers see what they asked themselves, everybody else all of it."""
    if caller.role < Role.analyst:
        if username not in (None, caller.username):
            raise Forbidden("To see the predictions of others needs the role analyst or a higher one; you are viewer.")
        username = caller.username
    async with state.pool.connection() as connection:
        found = await repository.history(connection, Filter(model, version, decision, username, begin, end), cursor, limit + 1)
    page = [_shown(row) for row in found[:limit]]
    return History(predictions=page, next=page[-1].prediction_id if len(found) > limit else None)


@router.get("/predictions/{prediction_id}")
async def one(prediction_id: UUID, caller: Caller, state: Current) -> Prediction:
    """What was asked and answered, by which model and policy."""
    async with state.pool.connection() as connection:
        row = await repository.one(connection, prediction_id)
    if row is None or (caller.role < Role.analyst and row["username"] != caller.username):
        raise NotFound(f"There is no prediction {prediction_id}, or it is not yours.")
    return _shown(row)


def _shown(row: dict[str, Any]) -> Prediction:
    return Prediction(prediction_id=row["id"], **row)
