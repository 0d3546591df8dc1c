from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AwareDatetime

from services.control.deployments.schemas import LedgerEntry, Verification, Version
from services.control.lineage.schemas import Chain, Checked, Origin, Then
from services.control.lineage.service import Lineage
from services.control.requests import Authorized, KnownModel, body

router = APIRouter(prefix="/models/{model}")


def _service(request: Request) -> Lineage:
    found: Lineage = request.state.lineage
    return found


Service = Annotated[Lineage, Depends(_service)]


@router.get("/ledger/verify")
async def verify(model: KnownModel, service: Service, known: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None) -> Checked:
    """Recomputes the chain. `known` is a hash that was noted earlier: a chain that was written anew as a whole does not have it."""
    return await service.check(model, known)


@router.get("/ledger/chain")
async def chain(model: KnownModel, service: Service) -> Chain:
    return await service.chain(model)


@router.post("/ledger/{entry}/verification", dependencies=[Authorized])
async def verified(
    model: KnownModel, entry: Annotated[int, Path(ge=1, lt=2**63)], service: Service, said: Annotated[Verification, body(Verification)]
) -> LedgerEntry:
    """When the replicas' answers were those of the entry. The first telling counts; later ones change nothing."""
    return await service.verified(model, entry, said)


@router.get("/at")
async def at(model: KnownModel, service: Service, moment: AwareDatetime) -> Then:
    """Which version and policy the ledger had at the moment, since when, by whom and why."""
    return await service.then(model, moment)


@router.get("/lineage")
async def lineage(
    model: KnownModel,
    service: Service,
    version: Version,
    moment: AwareDatetime,
    policy: Annotated[int | None, Query(ge=0, lt=2**31)] = None,
) -> Origin:
    """Where the answers that a version and a policy gave at the moment come from."""
    return await service.origin(model, version, policy, moment)
