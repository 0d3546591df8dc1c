"""Starting workflow runs. The run keeps who asked for it."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from services.gateway.guard import GuardedRoute
from services.gateway.predictions.contracts import named
from services.gateway.problems import of_control, problems
from services.gateway.state import Caller, Current
from services.gateway.workflows.schemas import (
    Asked,
    Check,
    Generate,
    Kind,
    Notifications,
    Predict,
    Replay,
    Retrain,
    Retrained,
    Retrainings,
    Run,
    Score,
    Training,
)
from services.kit.errors import FieldError, Invalid

router = APIRouter(tags=["workflows"], route_class=GuardedRoute)

ACCEPTED: Mapping[str, Any] = {"status_code": 202, "response_model": None, "responses": {202: {"model": Run, "description": "Queued."}, **of_control()}}
PARAMETERS = "parameters."


@router.post("/prediction/train", name="train", **ACCEPTED)
async def train(body: Training, caller: Caller, state: Current) -> Any:
    """Trains a new version; it serves when the gate lets it pass."""
    return await _submit(state, caller, "train", body)


@router.post("/prediction/score", name="score", **ACCEPTED)
async def score(body: Score, caller: Caller, state: Current) -> Any:
    """Answers a whole data set with one version, offline; or, with `input`, a file or a table of any size, audited part by part or row by row."""
    return await _submit(state, caller, "score", body)


@router.post("/prediction/predict", name="predict", **ACCEPTED)
async def predict(body: Predict, caller: Caller, state: Current) -> Any:
    """Has the newest rows of the data source answered by what serves, and recorded like anybody's."""
    return await _submit(state, caller, "predict", body)


RETRAINED: Mapping[str, Any] = {"responses": {202: {"model": Retrained, "description": "Queued."}, **of_control(), **problems(409)}}


@router.post("/retrain", name="retrain", **{**ACCEPTED, **RETRAINED})
async def retrain(body: Retrain, caller: Caller, state: Current) -> Any:
    """Trains with the catalogue's settings, or from `source`, by the rules of every retraining; only the cooldown does not hold for people.

    The decision is below `retraining`, with its reasons. 409 when a rule speaks against it: one is under way, or the day's limit is reached.
    """
    known(state, body.model)
    parameters = {} if body.source is None else {"source": body.source}
    asked = {"words": body.reason or "asked for through the gateway", "actor": caller.username, "parameters": parameters}
    return await _told(state, f"/models/{body.model}/retrain", asked)


@router.get("/models/{model}/retrainings", name="retrainings", response_model=None, responses={200: {"model": Retrainings}, **of_control()})
async def retrainings(
    model: Annotated[str, Path(max_length=63)],
    state: Current,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Any:
    """Why it was retrained, and why it was not: every decision, newest first."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/retrainings", limit=limit, cursor=cursor)


@router.post("/generate", name="generate", **ACCEPTED)
async def generate(body: Generate, caller: Caller, state: Current) -> Any:
    """Makes up a data set and keeps it, as a CSV file, in MLflow. Its run's `result` has `rows`, `sha256` and `artifact`, the file's place there."""
    return await _submit(state, caller, "generate", body)


@router.get("/notifications", name="notifications", response_model=None, responses={200: {"model": Notifications}, **of_control(404)})
async def notifications(
    state: Current,
    model: Annotated[str | None, Query(max_length=63)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
) -> Any:
    """What people were told of models, newest first, and how each channel stands with it."""
    if model is not None:
        named(state.contracts, model)
    return await state.control.get("/notifications", model=model, limit=limit, cursor=cursor)


async def _submit(state: Current, caller: Caller, kind: Kind, body: Asked) -> Any:
    known(state, body.model)
    return await submit(state, caller, kind, body.model, body)


async def submit(state: Current, caller: Caller, kind: Kind, model: str, body: Asked | Check | Replay) -> Any:
    """Raises Invalid with the body's own names of fields."""
    parameters = body.model_dump(mode="json", exclude_none=True, exclude={"model", "reason"})
    reason = body.reason or "asked for through the gateway"
    submission = {"kind": kind, "model": model, "parameters": parameters, "reason": reason, "actor": caller.username}
    return await _told(state, "/workflows", submission)


async def _told(state: Current, path: str, content: dict[str, Any]) -> Any:
    """Raises Invalid with the body's own names of fields."""
    try:
        return await state.control.change("POST", path, content)
    except Invalid as problem:
        for error in problem.errors or ():
            error["field"] = error["field"].removeprefix(PARAMETERS)
        raise


def known(state: Current, model: str) -> None:
    """Raises Invalid: a model in a body is a field like others."""
    if model not in state.contracts:
        error = FieldError(field="model", rule=f"must be one of {', '.join(state.contracts)}", value=model)
        raise Invalid(f"There is no model {model}; the models are {', '.join(state.contracts)}.", errors=[error])
