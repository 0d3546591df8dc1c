"""Who answered what, with which model, policy and data, and why; docs/lineage.md tells auditors about it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from services.gateway import deadlines
from services.gateway.guard import GuardedRoute
from services.gateway.lineage import service
from services.gateway.lineage.proof.file import proof_file
from services.gateway.lineage.schemas import Checked, Lineage, Reproduction, Then
from services.gateway.predictions.contracts import named
from services.gateway.predictions.history import stored
from services.gateway.predictions.schemas import Moment
from services.gateway.problems import of_control
from services.gateway.state import Caller, Current

router = APIRouter(tags=["lineage"], route_class=GuardedRoute)

Model = Annotated[str, Path(max_length=63, description="A model of the catalogue.")]
Known = Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="A hash that was noted earlier: is it still in the chain?")]
REPRODUCE_SECONDS = 30.0
"""The files of an archived version have to be fetched first."""


class Zip(Response):
    media_type = "application/zip"


@router.get("/predictions/{prediction_id}/lineage", responses=of_control())
async def lineage(prediction_id: UUID, caller: Caller, state: Current) -> Lineage:
    """From the input to training data, code revision, gate verdict and whoever put it there. Viewers: of their own predictions."""
    return await service.lineage(state, await stored(state, caller, prediction_id))


@router.get("/predictions/{prediction_id}/reproduction", responses=of_control())
async def reproduction(prediction_id: UUID, caller: Caller, state: Current, request: Request) -> Reproduction:
    """The stored version and policy answer the stored input again, also when they serve no more: bit for bit the same, or what differs."""
    row = await stored(state, caller, prediction_id)
    policy = (await service.origin(state, row))["policy"]
    return await service.reproduction(state, prediction_id, row, policy, deadlines.of_request(request.scope["headers"], REPRODUCE_SECONDS))


@router.get("/predictions/{prediction_id}/proof", response_class=Zip, responses=of_control())
async def proof(prediction_id: UUID, caller: Caller, state: Current, request: Request) -> Response:
    """One file for an auditor: the answer, all that it stands on, the ledger with its chain, and a program that checks them without us."""
    row = await stored(state, caller, prediction_id)
    content = await proof_file(state, caller, prediction_id, row, deadlines.of_request(request.scope["headers"], REPRODUCE_SECONDS))
    return Zip(content, headers={"Content-Disposition": f'attachment; filename="proof-{prediction_id}.zip"'})


@router.get("/models/{model}/at", response_model=None, responses={200: {"model": Then}, **of_control(404)})
async def at(model: Model, state: Current, moment: Annotated[Moment, Query(description="UTC unless it has an offset.")]) -> Any:
    """What served at a moment: version, policy, training data, since when, by whom and why."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/at", moment=moment.isoformat())


@router.get("/models/{model}/ledger/verify", response_model=None, responses={200: {"model": Checked}, **of_control()})
async def verify(model: Model, state: Current, known: Known = None) -> Any:
    """Recomputes the chain of the ledger: whether anything in it is not what was written."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/ledger/verify", known=known)
