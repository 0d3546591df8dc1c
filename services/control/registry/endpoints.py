from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from services.control.registry.schemas import (
    Best,
    Evaluation,
    ModelDocument,
    Models,
    PredictionDocument,
    Registration,
    VerdictReport,
    VersionDocument,
    Versions,
)
from services.control.registry.service import Registry
from services.control.requests import Authorized, KnownModel, Limit, body

router = APIRouter()


def _service(request: Request) -> Registry:
    found: Registry = request.state.registry
    return found


Service = Annotated[Registry, Depends(_service)]


@router.get("/models")
async def models(service: Service, limit: Limit = 100, cursor: str = "") -> Models:
    """By name."""
    names = sorted(name for name in service.entries if name > cursor)
    return Models(models=await service.models(names[:limit]), next=names[limit - 1] if len(names) > limit else None)


@router.get("/models/{model}")
async def model(model: KnownModel, service: Service) -> ModelDocument:
    (document,) = await service.models([model])
    return document


@router.get("/models/{model}/versions")
async def versions(model: KnownModel, service: Service, limit: Limit = 100, cursor: str | None = None) -> Versions:
    """Newest first."""
    found = await service.versions(model, limit + 1, cursor)
    return Versions(versions=found[:limit], next=found[limit - 1].version if len(found) > limit else None)


@router.get("/models/{model}/versions/{version}")
async def version(model: KnownModel, version: str, service: Service) -> VersionDocument:
    return await service.version(model, version)


@router.post("/models/{model}/versions", dependencies=[Authorized])
async def register(model: KnownModel, service: Service, new: Annotated[Registration, body(Registration)], response: Response) -> VersionDocument:
    """201 for a new version, 200 when exactly this one is registered already."""
    document, created = await service.register(model, new)
    response.status_code = 201 if created else 200
    return document


@router.post("/models/{model}/versions/{version}/verdict", dependencies=[Authorized])
async def judge(model: KnownModel, version: str, service: Service, said: Annotated[VerdictReport, body(VerdictReport)]) -> VersionDocument:
    """The gate's verdict; a later one replaces it."""
    return await service.judge(model, version, said.verdict.model_dump())


@router.get("/models/{model}/evaluation")
async def evaluation(model: KnownModel, service: Service) -> Evaluation:
    return await service.evaluation(model)


@router.get("/models/{model}/best")
async def best(model: KnownModel, service: Service) -> Best:
    return await service.best(model)


@router.get("/models/{model}/latest-prediction")
async def latest_prediction(model: KnownModel, service: Service) -> PredictionDocument:
    return await service.latest_prediction(model)
