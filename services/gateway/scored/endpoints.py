"""Scored files and tables: what is done of a run, and its parts. Control keeps the records, MLflow the files."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from services.gateway.guard import GuardedRoute
from services.gateway.models.endpoints import Model
from services.gateway.predictions.contracts import named
from services.gateway.problems import of_control
from services.gateway.scored.schemas import Scored
from services.gateway.state import Current

router = APIRouter(prefix="/models", tags=["workflows"], route_class=GuardedRoute)

RunId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Of MLflow: `run_id` in the result of the run's first step.")]
Number = Annotated[int, Path(ge=0, lt=2**31)]
PARQUET, CSV = "application/vnd.apache.parquet", "text/csv"
TEXT = {"type": "string"}
BINARY = TEXT | {"format": "binary"}


@router.get("/{model}/scored/{run_id}", name="scored", response_model=None, responses={200: {"model": Scored}, **of_control()})
async def scored(
    model: Model,
    run_id: RunId,
    state: Current,
    after: Annotated[int | None, Query(ge=-1, lt=2**31)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> Any:
    """The parts that are done, by whom and with which hashes; nothing of a run that has scored no file or table."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/scored/{run_id}", after=after, limit=limit)


@router.get(
    "/{model}/scored/{run_id}/parts/{part}/answers",
    name="scored_answers",
    response_class=Response,
    responses={200: {"content": {PARQUET: {"schema": BINARY}}}, **of_control(404)},
)
async def answers(model: Model, run_id: RunId, part: Number, state: Current) -> Response:
    """One part of the answers as Parquet: `row`, the input's columns, the model's output fields, and `prediction_id` with audit rows."""
    content = await state.control.content(f"/models/{named(state.contracts, model).name}/scored/{run_id}/parts/{part}/answers")
    return Response(content, media_type=PARQUET)


@router.get(
    "/{model}/scored/{run_id}/parts/{part}/refused",
    name="scored_refused",
    response_class=Response,
    responses={200: {"content": {CSV: {"schema": TEXT}}}, **of_control(404)},
)
async def refused(model: Model, run_id: RunId, part: Number, state: Current) -> Response:
    """The rows of one part that were not answered, as CSV: row, field, rule, value."""
    content = await state.control.content(f"/models/{named(state.contracts, model).name}/scored/{run_id}/parts/{part}/refused")
    return Response(content, media_type=f"{CSV}; charset=utf-8; header=present")
