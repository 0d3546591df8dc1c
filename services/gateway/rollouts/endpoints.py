"""Trials of a version beside the one that serves."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from services.gateway.guard import GuardedRoute
from services.gateway.models.documents import LedgerEntry
from services.gateway.models.schemas import VERSION, Change, Trial, Withdraw
from services.gateway.predictions.contracts import named
from services.gateway.problems import of_control, problems
from services.gateway.rollouts.documents import ShadowReport
from services.gateway.state import Caller, Current
from services.gateway.workflows.schemas import Replay
from services.gateway.workflows.submissions import ACCEPTED, submit

router = APIRouter(prefix="/models", tags=["models"], route_class=GuardedRoute)

Model = Annotated[str, Path(max_length=63, description="A model of the catalogue.")]
CHANGED: dict[int | str, dict[str, Any]] = {200: {"model": LedgerEntry, "description": "As the ledger has it."}, **of_control(), **problems(409)}


@router.post("/{model}/challenger", name="challenge", response_model=None, responses=CHANGED)
async def challenge(model: Model, body: Trial, caller: Caller, state: Current) -> Any:
    """Tries a version beside the one that serves: as a shadow, whose answers nobody gets, or as a canary, which answers some callers.

    409 unless the gate passed it.
    """
    return await _change(state, model, "challenger", body, caller)


@router.post("/{model}/withdraw", name="withdraw", response_model=None, responses=CHANGED)
async def withdraw(model: Model, body: Withdraw, caller: Caller, state: Current) -> Any:
    """Ends the trial; what serves goes on. 409 when there is none."""
    return await _change(state, model, "withdraw", body, caller)


@router.get("/{model}/shadow", name="shadow", response_model=None, responses={200: {"model": ShadowReport}, **of_control(404)})
async def shadow(model: Model, state: Current, version: Annotated[str | None, Query(min_length=1, max_length=40, pattern=VERSION)] = None) -> Any:
    """How the version that is tried does beside the champion: flips, score, cost, errors, latency. `version`: of an earlier trial."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/shadow", version=version)


@router.post("/{model}/replay", name="replay", **ACCEPTED)
async def replay(model: Model, body: Replay, caller: Caller, state: Current) -> Any:
    """Starts a run that makes the same report of any version from the audit; the run's `result` has it. Nobody's answer depends on it."""
    return await submit(state, caller, "replay", named(state.contracts, model).name, body)


async def _change(state: Current, model: str, path: str, body: Change, caller: Caller) -> Any:
    content = body.model_dump(mode="json", exclude_none=True) | {"actor": caller.username}
    return await state.control.change("POST", f"/models/{named(state.contracts, model).name}/{path}", content)
