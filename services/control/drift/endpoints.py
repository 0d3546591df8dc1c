from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime

from services.control.drift.schemas import Days, DriftCheck, Kind, PerformanceCheck, Reports, Stored
from services.control.drift.service import Drift
from services.control.files import Files
from services.control.requests import Authorized, KnownModel, body
from services.control.workflows.repository import RunsRepository
from services.kit.errors import NotFound

router = APIRouter()

NEWEST = 2**63 - 1
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[int, Query(ge=1, le=NEWEST)]


def _service(request: Request) -> Drift:
    found: Drift = request.state.drift
    return found


Service = Annotated[Drift, Depends(_service)]


@router.post("/models/{model}/drift", status_code=201, dependencies=[Authorized])
async def add_drift(model: KnownModel, service: Service, check: Annotated[DriftCheck, body(DriftCheck)]) -> Stored:
    """Of the pipeline's step `drift`. An alarm may start a training and tell people."""
    return await service.add(model, check)


@router.post("/models/{model}/performance", status_code=201, dependencies=[Authorized])
async def add_performance(model: KnownModel, service: Service, check: Annotated[PerformanceCheck, body(PerformanceCheck)]) -> Stored:
    """Of the pipeline's step `performance`."""
    return await service.add_performance(model, check)


@router.get("/models/{model}/drift")
async def drift(model: KnownModel, service: Service, limit: Limit = 20, cursor: Cursor = NEWEST) -> Reports:
    """Newest first."""
    return await _page(service, "drift", model, limit, cursor)


@router.get("/models/{model}/performance")
async def performance(model: KnownModel, service: Service, limit: Limit = 20, cursor: Cursor = NEWEST) -> Reports:
    """Newest first."""
    return await _page(service, "performance", model, limit, cursor)


@router.get("/models/{model}/answered", dependencies=[Authorized])
async def answered(model: KnownModel, service: Service, since: AwareDatetime) -> Days:
    """Answers by version and day (UTC), and of how many the outcome is known."""
    return Days(days=await service.reports.answered(model, since))


@router.get("/models/{model}/drift/evidently/{run_id}", dependencies=[Authorized])
async def evidently(model: KnownModel, run_id: UUID, request: Request) -> Response:
    """The page that a run of this kind has made."""
    runs: RunsRepository = request.state.runs
    files: Files = request.state.files
    run = await runs.get(run_id)
    artifact = (run.result or {}).get("artifact") if run is not None and (run.kind, run.model) == ("evidently", model) else None
    if artifact is None:
        raise NotFound(f"Run {run_id} of {model} has made no report of Evidently's, or not yet.")
    return Response(await files.read(artifact), media_type="text/html; charset=utf-8")


async def _page(service: Drift, kind: Kind, model: str, limit: int, cursor: int) -> Reports:
    found = await service.reports.page(kind, model, limit + 1, cursor)
    return Reports(reports=found[:limit], next=found[limit - 1]["id"] if len(found) > limit else None)
