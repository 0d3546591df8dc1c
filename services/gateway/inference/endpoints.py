"""The Open Inference Protocol (V2): another form of the same predictions, audited like all of them."""

import asyncio
import io
import time
from dataclasses import replace

from fastapi import APIRouter, Response
from starlette.requests import Request
from starlette.routing import Route

from services.gateway import deadlines
from services.gateway.access import Role
from services.gateway.auth.credentials import Principal
from services.gateway.guard import GuardedRoute, admit
from services.gateway.inference import service
from services.gateway.inference.schemas import ModelMetadata, ModelReady, Ready, Server
from services.gateway.predictions import idempotency
from services.gateway.predictions.batch.endpoint import seconds as batch_seconds
from services.gateway.predictions.batch.intake import Plain
from services.gateway.predictions.batch.media import coding_of_request
from services.gateway.predictions.contracts import Contract, named
from services.gateway.predictions.service import Asked
from services.gateway.state import Current, State
from services.kit.errors import UnsupportedMedia
from services.kit.http import read_body
from services.kit.open_inference import documents
from services.kit.open_inference.documents import BINARY, JSON, JSON_LENGTH

INFER = "/v2/models/{model}/infer"
INFER_VERSION = "/v2/models/{model}/versions/{version}/infer"


router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=GuardedRoute)


@router.get("")
async def server() -> Server:
    """Server metadata."""
    return Server.model_validate(documents.server("modelyard"))


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready", responses={503: {"description": "The database or a model is away."}})
async def ready(state: Current, response: Response) -> Ready:
    """Predictions of every model can be computed and recorded. An orchestrator had better ask /readyz, which needs no runner."""
    report = await state.health.report()
    well = report["database"]["ok"] and all(part["ok"] for part in report["runners"].values())
    response.status_code = 200 if well else 503
    return Ready(ready=well)


@router.get("/models/{model}")
async def model(model: str, state: Current) -> ModelMetadata:
    """Inputs and outputs, from the model's own schema, and the version that serves."""
    return await _metadata(state, model, None)


@router.get("/models/{model}/versions/{version}")
async def model_version(model: str, version: str, state: Current) -> ModelMetadata:
    """The same; 404 for a version that does not serve."""
    return await _metadata(state, model, version)


@router.get("/models/{model}/ready", responses={503: {"description": "The runner is away or has no version to serve."}})
async def model_ready(model: str, state: Current, response: Response) -> ModelReady:
    """The model can be asked."""
    return await _ready(state, model, None, response)


@router.get("/models/{model}/versions/{version}/ready", responses={503: {"description": "The runner is away or has no version to serve."}})
async def model_version_ready(model: str, version: str, state: Current, response: Response) -> ModelReady:
    """This version can be asked."""
    return await _ready(state, model, version, response)


async def _metadata(state: State, model: str, version: str | None) -> ModelMetadata:
    contract = named(state.contracts, model)
    serving = await service.serving(state, contract, version)
    return ModelMetadata.model_validate(service.metadata(contract, serving))


async def _ready(state: State, model: str, version: str | None, response: Response) -> ModelReady:
    contract = named(state.contracts, model)
    serving = await service.serving(state, contract, version)
    response.status_code = 503 if serving is None else 200
    return ModelReady(name=model, ready=serving is not None)


async def infer(request: Request) -> Response:
    """One row per position of the tensors. Plain Starlette as all of predict; description.py describes it."""
    started = time.perf_counter()
    state: State = request.app.state.gateway
    principal = await admit(request.scope, state, INFER_VERSION if "version" in request.path_params else INFER)
    contract = named(state.contracts, request.path_params["model"])
    deadline = deadlines.of_request(request.scope["headers"], contract.timeout)
    state.admission.enter(state.runners[contract.name], deadline)
    try:
        content, headers, replayed = await _answer(request, state, contract, principal, deadline, started)
    finally:
        state.admission.leave()
    response = Response(content, headers=headers)
    if replayed:
        response.raw_headers.append(idempotency.REPLAYED)
    return response


async def _answer(
    request: Request, state: State, contract: Contract, principal: Principal, deadline: float, started: float
) -> tuple[bytes, dict[str, str], bool]:
    _require_protocol(request)
    settings = state.settings
    body = await _body(request, settings.max_body_bytes if principal.role >= Role.analyst else settings.max_row_bytes)
    sent, columns = await service.read(contract, principal, body, request.headers.get(JSON_LENGTH), state.batches.turns)
    asked = Asked(principal.username, request.scope["state"]["request_id"], started, deadline, request.path_params.get("version"))
    value = idempotency.given(request.scope)
    key = None if value is None else idempotency.key_of(principal.username, value, request.scope["path"].encode(), body)
    if columns.count == 1:
        answer, replayed = await service.one(state, contract, asked, columns, key)
    else:
        answer, replayed = await service.many(state, contract, replace(asked, deadline=_of_batch(request, contract)), columns, len(body), key)
    if not replayed:
        state.spool.answered.add(columns.count)
    return *service.written(contract, sent, answer), replayed


def _of_batch(request: Request, contract: Contract) -> float:
    """As for a batch, whose time begins when it has arrived."""
    return asyncio.get_running_loop().time() + batch_seconds(request, contract)


def _require_protocol(request: Request) -> None:
    """Raises UnsupportedMedia. The protocol's clients often say nothing."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", JSON, BINARY):
        raise UnsupportedMedia(f"Content-Type must be {JSON}, or {BINARY} with binary tensors, not {kind}.")


async def _body(request: Request, limit: int) -> bytes:
    """Raises TooLarge, UnsupportedMedia or BadRequest."""
    coding = coding_of_request(request.headers.get("content-encoding", ""))
    body = await read_body(request, limit)
    return body if coding is None else await asyncio.to_thread(Plain(io.BytesIO(body), coding, limit).readall)


routes = [Route(INFER, infer, methods=["POST"]), Route(INFER_VERSION, infer, methods=["POST"])]
