"""Which versions there are, which serves, and who decided it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.gateway.guard import GuardedRoute
from services.gateway.models.schemas import Change, PolicyChange, Promote, Rollback
from services.gateway.predictions.contracts import named
from services.gateway.state import Caller, Current

router = APIRouter(prefix="/models", tags=["models"], route_class=GuardedRoute)

Document = dict[str, Any]


@router.get("")
async def models(state: Current) -> Document:
    """Every model with its champion, policy, metrics and the runners' own reports."""
    document: Document = await state.control.get("/models")
    return document


@router.get("/{model}")
async def model(model: str, state: Current) -> Document:
    return await _get(state, model, "")


@router.get("/{model}/versions")
async def versions(model: str, state: Current) -> Document:
    """Newest first, each with its metrics and the gate's verdict."""
    return await _get(state, model, "/versions")


@router.get("/{model}/ledger")
async def ledger(
    model: str, state: Current, limit: Annotated[int, Query(ge=1, le=500)] = 50, cursor: Annotated[str | None, Query(max_length=64)] = None
) -> Document:
    """Every promotion, rollback and policy change, newest first."""
    return await _get(state, model, "/ledger", limit=limit, cursor=cursor)


@router.post("/{model}/promote")
async def promote(model: str, body: Promote, caller: Caller, state: Current) -> Document:
    """The version serves within about a second. 409 when the gate has not passed it."""
    return await _change(state, "POST", model, "/promote", body, caller)


@router.post("/{model}/rollback")
async def rollback(model: str, body: Rollback, caller: Caller, state: Current) -> Document:
    """Undoes the last promotion, version and policy."""
    return await _change(state, "POST", model, "/rollback", body, caller)


@router.put("/{model}/policy")
async def set_policy(model: str, body: PolicyChange, caller: Caller, state: Current) -> Document:
    """A new version of the decision policy, in use within about a second; what is left out stays as it is."""
    return await _change(state, "PUT", model, "/policy", body, caller)


async def _get(state: Current, model: str, path: str, **query: Any) -> Document:
    document: Document = await state.control.get(f"/models/{named(state.contracts, model).name}{path}", **query)
    return document


async def _change(state: Current, method: str, model: str, path: str, body: Change, caller: Caller) -> Document:
    content = body.model_dump(mode="json", exclude_unset=True) | {"actor": caller.username}
    document: Document = await state.control.change(method, f"/models/{named(state.contracts, model).name}{path}", content)
    return document
