from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse

from services.control.requests import Authorized, Limit, body, of_catalogue
from services.control.workflows.protocol import Workflows
from services.control.workflows.repository import RunsRepository
from services.control.workflows.schemas import Ended, Kind, Run, Runs, Status, Submission
from services.kit.errors import NotFound

router = APIRouter(prefix="/workflows")


def _workflows(request: Request) -> Workflows:
    found: Workflows = request.state.workflows
    return found


def _runs(request: Request) -> RunsRepository:
    found: RunsRepository = request.state.runs
    return found


Service = Annotated[Workflows, Depends(_workflows)]
Stored = Annotated[RunsRepository, Depends(_runs)]


@router.post("", status_code=202, dependencies=[Authorized])
async def submit(request: Request, service: Service, asked: Annotated[Submission, body(Submission)]) -> Run:
    of_catalogue(request.state.catalogue, asked.model)
    return await service.submit(asked)


@router.post("/ended", status_code=204, dependencies=[Authorized])
async def ended(service: Service, told: Annotated[Ended, body(Ended)]) -> None:
    """A workflow's last words. What is true of it is read where it is."""
    service.ended(told.workflow)


@router.get("")
async def runs(
    request: Request,
    stored: Stored,
    model: str | None = None,
    kind: Kind | None = None,
    status: Status | None = None,
    limit: Limit = 50,
    cursor: UUID | None = None,
) -> Runs:
    """Newest first; `next` is the cursor of the following page."""
    if model is not None:
        of_catalogue(request.state.catalogue, model)
    found = await stored.newest(limit + 1, model=model, kind=kind, status=status, after=cursor)
    return Runs(workflows=found[:limit], next=found[limit - 1].id if len(found) > limit else None)


@router.get("/{run_id}")
async def run(run_id: UUID, stored: Stored) -> Run:
    found = await stored.get(run_id)
    if found is None:
        raise NotFound(f"There is no workflow run {run_id}.")
    return found


@router.get("/{run_id}/logs")
async def logs(run_id: UUID, service: Service) -> PlainTextResponse:
    return PlainTextResponse(await service.log(run_id))


@router.post("/{run_id}/stop", dependencies=[Authorized])
async def stop(run_id: UUID, service: Service) -> Run:
    """Answers when nothing of the run is left."""
    return await service.stop(run_id)
