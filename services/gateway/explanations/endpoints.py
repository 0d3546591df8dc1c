"""Why a row gets its score: one that somebody asks about, and one that was answered. docs/explanations.md tells callers about it."""

from uuid import UUID

from fastapi import APIRouter
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.gateway import deadlines
from services.gateway.explanations import service
from services.gateway.explanations.schemas import Explanation
from services.gateway.guard import GuardedRoute, admit
from services.gateway.models.schemas import Version
from services.gateway.predictions.contracts import named
from services.gateway.predictions.history import stored
from services.gateway.state import Caller, Current, State
from services.kit import http
from services.kit.errors import FieldError, Invalid

EXPLAIN = "/predict/{model}/explain"
router = APIRouter(tags=["explanations"], route_class=GuardedRoute)
_version: TypeAdapter[str] = TypeAdapter(Version)


async def explain(request: Request) -> Response:
    """Like a prediction up to the validated row, but nothing is recorded: an explanation is no answer that anybody may act upon later."""
    state: State = request.app.state.gateway
    await admit(request.scope, state, EXPLAIN)
    contract = named(state.contracts, request.path_params["model"])
    deadline = deadlines.of_request(request.scope["headers"], contract.timeout)
    version = _wanted(request)
    body = await http.json_body(request.scope, request.receive, state.settings.max_row_bytes)
    found = await service.explain(state, contract, contract.encode(contract.decode(body)), version, deadline)
    return Response(found.model_dump_json(), media_type="application/json")


def _wanted(request: Request) -> str | None:
    given = request.query_params.get("version")
    if given is None:
        return None
    try:
        return _version.validate_python(given)
    except ValidationError as error:
        rule = error.errors(include_url=False)[0]["msg"]
        raise Invalid("1 field error: see `errors`.", errors=[FieldError(field="version", rule=rule, value=given[:50])]) from None


@router.get("/predictions/{prediction_id}/explanation")
async def explanation(prediction_id: UUID, caller: Caller, state: Current, request: Request) -> Explanation:
    """Why this prediction was made, by the version that made it. Computed once, then kept beside it. Viewers see their own."""
    row = await stored(state, caller, prediction_id)
    deadline = deadlines.of_request(request.scope["headers"], named(state.contracts, row["model"]).timeout)
    return await service.explain_stored(state, prediction_id, row, deadline)


routes = [Route(EXPLAIN, explain, methods=["POST"])]
