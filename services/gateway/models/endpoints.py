"""Which versions there are, which serves, and who decided it."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from services.gateway.etags import POLLED, UNCHANGED, tagged
from services.gateway.guard import GuardedRoute
from services.gateway.models import documents
from services.gateway.models.schemas import VERSION, Change, PolicyChange, Promote, Rollback
from services.gateway.models.traffic import Traffic
from services.gateway.predictions.contracts import named
from services.gateway.problems import of_control, problems
from services.gateway.state import Caller, Current

router = APIRouter(prefix="/models", tags=["models"], route_class=GuardedRoute)

Model = Annotated[str, Path(max_length=63, description="A model of the catalogue.")]
Version = Annotated[str, Path(max_length=40, pattern=VERSION)]
Limit = Annotated[int, Query(ge=1, le=500)]
FOLLOWED = "As the ledger has it, once every replica's answers are so; after 5 s in any case."
CHANGED: dict[int | str, dict[str, Any]] = {200: {"model": documents.LedgerEntry, "description": FOLLOWED}, **of_control(), **problems(409)}


@router.get("", name="list", response_model=None, responses={200: {"model": documents.Models}, **UNCHANGED, **of_control()}, openapi_extra=POLLED)
async def models(request: Request, state: Current, limit: Limit = 100, cursor: Annotated[str | None, Query(max_length=63)] = None) -> Response:
    """Every model with its champion, policy, metrics and the runners' own reports."""
    return tagged(request, await state.control.get("/models", limit=limit, cursor=cursor))


@router.get("/{model}", name="one", response_model=None, responses={200: {"model": documents.Model}, **UNCHANGED, **of_control()}, openapi_extra=POLLED)
async def model(model: Model, request: Request, state: Current) -> Response:
    """One of them."""
    return tagged(request, await _get(state, model, ""))


@router.get("/{model}/versions", name="versions", response_model=None, responses={200: {"model": documents.Versions}, **of_control()})
async def versions(model: Model, state: Current, limit: Limit = 100, cursor: Annotated[str | None, Query(max_length=40)] = None) -> Any:
    """Newest first, each with its metrics and the gate's verdict."""
    return await _get(state, model, "/versions", limit=limit, cursor=cursor)


@router.get("/{model}/versions/{version}", name="version", response_model=None, responses={200: {"model": documents.Version}, **of_control()})
async def version(model: Model, version: Version, state: Current) -> Any:
    """One of them, with all that training measured."""
    return await _get(state, model, f"/versions/{version}")


@router.get("/{model}/ledger", name="ledger", response_model=None, responses={200: {"model": documents.Ledger}, **of_control()})
async def ledger(model: Model, state: Current, limit: Limit = 50, cursor: Annotated[int | None, Query(ge=1, lt=2**63)] = None) -> Any:
    """Every promotion, rollback and policy change, newest first."""
    return await _get(state, model, "/ledger", limit=limit, cursor=cursor)


@router.get("/{model}/traffic", name="traffic")
async def traffic(model: Model, state: Current) -> Traffic:
    """Rows by version and calls to the runner by outcome, since the gateway began."""
    return await asyncio.to_thread(state.traffic.of, named(state.contracts, model).name)


@router.post("/{model}/promote", name="promote", response_model=None, responses=CHANGED)
async def promote(model: Model, body: Promote, caller: Caller, state: Current) -> Any:
    """The version serves within about a second, which every replica is asked to prove. 409 when the gate has not passed it."""
    return await _change(state, "POST", model, "/promote", body, caller)


@router.post("/{model}/rollback", name="rollback", response_model=None, responses=CHANGED)
async def rollback(model: Model, body: Rollback, caller: Caller, state: Current) -> Any:
    """Undoes the last promotion, version and policy; or goes back to the version named; or, with `policy_only`, to the policy before."""
    return await _change(state, "POST", model, "/rollback", body, caller)


@router.put("/{model}/policy", name="set_policy", response_model=None, responses=CHANGED)
async def set_policy(model: Model, body: PolicyChange, caller: Caller, state: Current) -> Any:
    """A new version of the decision policy, in use within about a second; what is left out stays as it is."""
    return await _change(state, "PUT", model, "/policy", body, caller)


async def _get(state: Current, model: str, path: str, **query: Any) -> Any:
    return await state.control.get(f"/models/{named(state.contracts, model).name}{path}", **query)


async def _change(state: Current, method: str, model: str, path: str, body: Change, caller: Caller) -> Any:
    content = body.model_dump(mode="json", exclude_unset=True) | {"actor": caller.username}
    name = named(state.contracts, model).name
    return await state.verifier.entry(name, await state.control.change(method, f"/models/{name}{path}", content))
