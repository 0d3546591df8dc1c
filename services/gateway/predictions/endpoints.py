"""Predict: plain Starlette routes, because FastAPI's dependencies cost as much as all the rest. openapi.py documents them."""

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.gateway.guard import admit
from services.gateway.predictions import service
from services.gateway.predictions.contracts import named
from services.gateway.state import State
from services.kit.http import read_json

ONE = "/predict/{model}"
BATCH = "/predict/{model}/batch"


async def predict(request: Request) -> Response:
    started = time.perf_counter()
    state: State = request.app.state.gateway
    principal = await admit(request.scope, state, ONE)
    contract = named(state.contracts, request.path_params["model"])
    row = await read_json(request, contract.row, state.settings.max_row_bytes)
    runner, request_id = state.runners[contract.name], request.scope["state"]["request_id"]
    answer = await service.predict(contract, runner, state.journal, principal, request_id, row, started)
    return Response(answer, media_type="application/json")


async def predict_batch(request: Request) -> Response:
    started = time.perf_counter()
    state: State = request.app.state.gateway
    principal = await admit(request.scope, state, BATCH)
    contract = named(state.contracts, request.path_params["model"])
    batch = await read_json(request, contract.batch, state.settings.max_body_bytes)
    runner, request_id = state.runners[contract.name], request.scope["state"]["request_id"]
    answer = await service.predict_batch(contract, runner, state.batches, principal, request_id, batch.rows, started)
    return Response(answer, media_type="application/json")


routes = [Route(ONE, predict, methods=["POST"]), Route(BATCH, predict_batch, methods=["POST"])]
