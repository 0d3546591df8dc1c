"""What the runners' scorers in the shadow ask for and give back, and the report for everybody."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from services.control.audit.endpoints import MEDIA, streamed
from services.control.deployments.schemas import Version
from services.control.requests import Authorized, KnownModel, body
from services.control.rollouts.schemas import Reported, Scores, Shown, Taking
from services.control.rollouts.service import Rollouts
from services.kit.errors import Conflict

router = APIRouter()


def _service(request: Request) -> Rollouts:
    found: Rollouts = request.state.rollouts
    return found


Service = Annotated[Rollouts, Depends(_service)]


@router.post("/shadow/{model}/next", dependencies=[Authorized])
async def take(model: KnownModel, service: Service, asked: Annotated[Taking, body(Taking)]) -> Response:
    """The next answered rows for this version, a JSON object a line; none when it has scored all. 409 when it is not tried, or another replica scores."""
    try:
        rows = await service.repository.take(model, asked.version, asked.replica)
    except LookupError:
        raise Conflict(f"Version {asked.version} of {model} is not tried in the shadow.") from None
    if rows is None:
        raise _taken(model, asked.version)
    return Response("".join(f"{row}\n" for row in rows), media_type=MEDIA)


@router.post("/shadow/{model}/scores", status_code=204, dependencies=[Authorized])
async def scores(model: KnownModel, service: Service, given: Annotated[Scores, body(Scores)]) -> None:
    """Of the rows that were taken last. Told twice, they count once."""
    if not await service.repository.store(model, given.version, given.replica, given.scores):
        raise _taken(model, given.version)
    service.count(model, given.version, given.scores)


@router.post("/shadow/{model}/report", status_code=204, dependencies=[Authorized])
async def report(model: KnownModel, service: Service, given: Annotated[Reported, body(Reported)]) -> None:
    if not await service.repository.report(model, given.version, given.replica, given.report):
        raise _taken(model, given.version)


@router.get("/shadow/{model}/pairs", dependencies=[Authorized])
async def pairs(model: KnownModel, service: Service, version: Version, most: Annotated[int, Query(ge=1, le=1_000_000)] = 10_000) -> StreamingResponse:
    """The newest rows of the trial that both versions have scored, a JSON object a line."""
    trial = await service.repository.trial(model)
    if trial is None or trial.version != version or trial.since is None:
        raise Conflict(f"Version {version} of {model} is not tried.")
    found: AsyncGenerator[bytes] = service.repository.pairs(model, version, trial.since, most)
    return StreamingResponse(streamed(await anext(found), found), media_type=MEDIA)


@router.get("/models/{model}/shadow")
async def shown(model: KnownModel, service: Service, version: Version | None = None) -> Shown:
    """How the version that is tried does beside the champion, or how another one did."""
    return await service.shown(model, version)


def _taken(model: str, version: str) -> Conflict:
    return Conflict(f"Another replica scores for version {version} of {model}.")
