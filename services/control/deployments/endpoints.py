from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from services.control.deployments.schemas import Desired, LedgerEntry, LedgerPage, PolicyChange, Promotion, Report, Rollback, Trial, Withdrawal
from services.control.deployments.service import Deployments
from services.control.requests import Authorized, KnownModel, Limit, body
from services.kit.errors import FieldError, Invalid

router = APIRouter()

NEWEST = 2**63 - 1


def _service(request: Request) -> Deployments:
    found: Deployments = request.state.deployments
    return found


Service = Annotated[Deployments, Depends(_service)]


@router.get("/serving/{model}", response_model=Desired)
async def serving(
    model: KnownModel,
    service: Service,
    response: Response,
    wait: Annotated[float, Query(ge=0, allow_inf_nan=False)] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Desired | Response:
    """What a runner is to serve. With the ETag it has and `wait` (at most 60 s count), answers as soon as that changes, else 304."""
    known = None if if_none_match is None else if_none_match.strip().removeprefix("W/")
    desired = await service.desired(model, known, wait)
    if desired is None:
        return Response(status_code=304, headers={"ETag": known or ""})
    response.headers["ETag"] = desired.etag
    return desired


@router.post("/serving/{model}/replicas", status_code=204, dependencies=[Authorized])
async def report(model: KnownModel, service: Service, said: Annotated[Report, body(Report)]) -> None:
    """What a runner replica says about itself."""
    if said.model != model:
        error = FieldError(field="model", rule=f"must be {model}, as in the path", value=said.model)
        raise Invalid("The report is about another model than the path.", errors=[error])
    await service.repository.report(model, said.replica, said.model_dump(mode="json"))


@router.post("/models/{model}/promote", dependencies=[Authorized])
async def promote(model: KnownModel, service: Service, asked: Annotated[Promotion, body(Promotion)]) -> LedgerEntry:
    return await service.promote(model, asked)


@router.post("/models/{model}/rollback", dependencies=[Authorized])
async def rollback(model: KnownModel, service: Service, asked: Annotated[Rollback, body(Rollback)]) -> LedgerEntry:
    """Undoes the last promotion, or goes back to the version named: version and policy as they were."""
    return await service.rollback(model, asked)


@router.post("/models/{model}/challenger", dependencies=[Authorized])
async def challenge(model: KnownModel, service: Service, asked: Annotated[Trial, body(Trial)]) -> LedgerEntry:
    """Tries a version beside the one that serves: as a shadow it scores what the other has answered, as a canary it answers some callers."""
    return await service.challenge(model, asked)


@router.post("/models/{model}/withdraw", dependencies=[Authorized])
async def withdraw(model: KnownModel, service: Service, asked: Annotated[Withdrawal, body(Withdrawal)]) -> LedgerEntry:
    """Ends a trial; what serves goes on."""
    return await service.withdraw(model, asked)


@router.put("/models/{model}/policy", dependencies=[Authorized])
async def change_policy(model: KnownModel, service: Service, asked: Annotated[PolicyChange, body(PolicyChange)]) -> LedgerEntry:
    return await service.change_policy(model, asked)


@router.get("/models/{model}/ledger")
async def ledger(model: KnownModel, service: Service, limit: Limit = 50, cursor: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST) -> LedgerPage:
    """Newest first; `next` is the cursor of the following page."""
    entries = await service.repository.page(model, limit + 1, cursor)
    return LedgerPage(entries=entries[:limit], next=entries[limit - 1].id if len(entries) > limit else None)
