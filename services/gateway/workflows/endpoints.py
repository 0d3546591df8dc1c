"""Workflow runs: what control carries out, as it tells of it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from services.gateway.etags import POLLED, UNCHANGED, tagged
from services.gateway.guard import GuardedRoute
from services.gateway.predictions.contracts import named
from services.gateway.problems import of_control, problems
from services.gateway.state import Current
from services.gateway.workflows.schemas import Kind, Run, Runs, Status

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=GuardedRoute)

STOP_SECONDS = 75.0
"""A pod has 30 s to end after it was asked to, and control gives up after 60 s."""
RunId = Annotated[UUID, Path(description="As the answer to its submission has it.")]


@router.get("", name="list", response_model=None, responses={200: {"model": Runs}, **UNCHANGED, **of_control(404)}, openapi_extra=POLLED)
async def runs(
    request: Request,
    state: Current,
    model: Annotated[str | None, Query(max_length=63)] = None,
    kind: Kind | None = None,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: UUID | None = None,
) -> Response:
    """Newest first, also those that schedules and people started elsewhere."""
    if model is not None:
        named(state.contracts, model)
    return tagged(request, await state.control.get("/workflows", model=model, kind=kind, status=status, limit=limit, cursor=cursor))


@router.get("/{run_id}", name="one", response_model=None, responses={200: {"model": Run}, **UNCHANGED, **of_control()}, openapi_extra=POLLED)
async def run(run_id: RunId, request: Request, state: Current) -> Response:
    """How it stands, step by step."""
    return tagged(request, await state.control.get(f"/workflows/{run_id}"))


LOG: dict[int | str, dict[str, Any]] = {200: {"description": "The last megabyte of it.", "content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/{run_id}/logs", name="logs", response_class=PlainTextResponse, responses={**LOG, **of_control()})
async def logs(run_id: RunId, state: Current) -> PlainTextResponse:
    """What its steps have written so far."""
    return PlainTextResponse(await state.control.text(f"/workflows/{run_id}/logs"))


@router.post("/{run_id}/stop", name="stop", response_model=None, responses={200: {"model": Run}, **of_control(), **problems(409)})
async def stop(run_id: RunId, state: Current) -> Any:
    """Answers when nothing of the run is left. 409 when it has ended already."""
    return await state.control.change("POST", f"/workflows/{run_id}/stop", {}, seconds=STOP_SECONDS)
