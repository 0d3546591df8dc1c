"""What is known of a model's answers and versions, from the records alone: no model is asked."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.gateway.access import Role
from services.gateway.guard import GuardedRoute
from services.gateway.models.documents import Best, Evaluation, RegisteredModels
from services.gateway.predictions import repository
from services.gateway.predictions.contracts import named
from services.gateway.predictions.history import shown
from services.gateway.predictions.schemas import Prediction
from services.gateway.predictions.search import service as search
from services.gateway.predictions.search.repository import Filter
from services.gateway.problems import of_control, problems
from services.gateway.state import Caller, Current
from services.kit.errors import NotFound

router = APIRouter(prefix="/prediction", tags=["models"], route_class=GuardedRoute)

Model = Annotated[str, Query(max_length=63, description="A model of the catalogue.")]
MOST_VERSIONS = 100


@router.get("/latest-prediction", name="latest_prediction", responses=problems(404))
async def latest_prediction(model: Model, caller: Caller, state: Current) -> Prediction:
    """The newest row of the audit; for a viewer, the newest own one."""
    named(state.contracts, model)
    username = caller.username if caller.role < Role.analyst else None
    async with state.pool.connection() as connection:
        page = await search.find(connection, Filter(model=model, username=username), None, 1)
        found = await repository.of_ids(connection, page.ids)
    if not found:
        raise NotFound(f"{model} has not answered anything yet{' that you asked' if username else ''}.")
    return shown(found[0])


@router.get("/model-evaluation", name="evaluation", response_model=None, responses={200: {"model": Evaluation}, **of_control(404)})
async def evaluation(model: Model, state: Current) -> Any:
    """How good the champion is: on data that it never saw, beside the trivial answer, and on what it learnt from; of a regression also MSE and R²."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/evaluation")


@router.get("/best-model", name="best", response_model=None, responses={200: {"model": Best}, **of_control(404)})
async def best(model: Model, state: Current) -> Any:
    """The best registered version by the metric of the model's gate, of a regression by its MSE; versions of real data come before those of synthetic data."""
    return await state.control.get(f"/models/{named(state.contracts, model).name}/best")


@router.get("/models", name="registered", response_model=None, responses={200: {"model": RegisteredModels}, **of_control()})
async def registered(
    state: Current, limit: Annotated[int, Query(ge=1, le=50)] = 20, cursor: Annotated[str | None, Query(max_length=63)] = None
) -> dict[str, Any]:
    """Every model with its newest registered versions, each with a link to MLflow."""
    page = await state.control.get("/models", limit=limit, cursor=cursor)
    names = [one["name"] for one in page["models"]]
    found = await asyncio.gather(*(state.control.get(f"/models/{name}/versions", limit=MOST_VERSIONS) for name in names))
    models = [{"name": one["name"], "title": one["title"], **versions} for one, versions in zip(page["models"], found, strict=True)]
    return {"models": models, "next": page["next"]}
