"""Whether what is asked still resembles what was learned from, and what became of the answers. Control keeps the reports; the pipeline makes them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from services.gateway.guard import GuardedRoute
from services.gateway.models import documents
from services.gateway.models.endpoints import Model
from services.gateway.predictions.contracts import named
from services.gateway.problems import of_control
from services.gateway.state import Caller, Current
from services.gateway.workflows import submissions
from services.gateway.workflows.schemas import Check

router = APIRouter(prefix="/models", tags=["models"], route_class=GuardedRoute)

Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[int | None, Query(ge=1, lt=2**63)]
HTML = "text/html"


@router.get("/{model}/drift", name="drift", response_model=None, responses={200: {"model": documents.DriftReports}, **of_control()})
async def drift(model: Model, state: Current, limit: Limit = 20, cursor: Cursor = None) -> Any:
    """The checks, newest first."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/drift", limit=limit, cursor=cursor)


@router.get("/{model}/performance", name="performance", response_model=None, responses={200: {"model": documents.PerformanceReports}, **of_control()})
async def performance(model: Model, state: Current, limit: Limit = 20, cursor: Cursor = None) -> Any:
    """Live performance, newest first."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/performance", limit=limit, cursor=cursor)


@router.post("/{model}/drift", name="check_drift", **submissions.ACCEPTED)
async def check_drift(model: Model, body: Check, caller: Caller, state: Current) -> Any:
    """Checks now: drift, then live performance. Its run ends within a minute; the reports are in GET of the same address."""
    return await submissions.submit(state, caller, "drift", named(state.contracts, model).name, body)


@router.post("/{model}/drift/evidently", name="evidently", **submissions.ACCEPTED)
async def evidently(model: Model, body: Check, caller: Caller, state: Current) -> Any:
    """Has Evidently compare the same rows in its own way, and write a page about it. 409 where Evidently is not installed."""
    return await submissions.submit(state, caller, "evidently", named(state.contracts, model).name, body)


@router.get(
    "/{model}/drift/evidently/{run_id}",
    name="evidently_report",
    response_class=Response,
    responses={200: {"content": {HTML: {"schema": {"type": "string"}}}}, **of_control(404)},
)
async def evidently_report(model: Model, run_id: Annotated[UUID, Path(description="Of the run that has written it.")], state: Current) -> Response:
    """The page, to be kept: whatever a library wrote into it is not to act in the name of who is logged in here."""
    name = named(state.contracts, model).name
    content = await state.control.content(f"/models/{name}/drift/evidently/{run_id}")
    headers = {"Content-Disposition": f'attachment; filename="{name}-drift.html"', "Content-Security-Policy": "sandbox allow-scripts"}
    return Response(content, media_type=HTML, headers=headers)
