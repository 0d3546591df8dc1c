"""The hot path: one prediction, from the server's hands and back to them, past the framework's stack, which costs more than all the rest.

What it does is what the other endpoints do, by the same functions, in this order: admission, credentials, role, rate limit, body, schema, prediction, audit.
"""

import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway import deadlines, metrics
from services.gateway.edge import Edge
from services.gateway.guard import admit
from services.gateway.predictions import idempotency, service
from services.gateway.predictions.contracts import named
from services.gateway.rollouts import canaries
from services.gateway.state import State
from services.kit import http

ONE = "/predict/{model}"
_BEFORE = "/predict/"
_HISTORY = "/predict/history"


def takes(scope: Scope) -> bool:
    """Whether it is `POST /predict/{model}`."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    path: str = scope["path"]
    return path.startswith(_BEFORE) and len(path) > len(_BEFORE) and path.find("/", len(_BEFORE)) < 0 and path != _HISTORY


class Predict:
    """An ASGI application for that one route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = http.request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500
        try:
            try:
                answer = await _answer(scope, receive, request_id, started)
            except Exception as error:  # noqa: BLE001 - the handlers know what to do about each
                response = await _refusal(scope, receive, error)
                status = response.status_code
                there = {name for name, _ in response.raw_headers}
                response.raw_headers += [header for header in _headers(scope, request_id) if header[0] not in there]
                await response(scope, receive, send)
            else:
                status = 200
                headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer)), *_headers(scope, request_id)]
                if scope["state"].get("replayed"):
                    headers.append(idempotency.REPLAYED)
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": answer})
        finally:
            metrics.answered(ONE, "POST", status, time.perf_counter() - started)


async def _answer(scope: Scope, receive: Receive, request_id: str, started: float) -> bytes:
    state: State = scope["app"].state.gateway
    model = scope["path"][len(_BEFORE) :]
    if model not in state.contracts:
        await admit(scope, state, ONE)  # strangers do not learn which models there are
    contract = named(state.contracts, model)
    deadline = deadlines.of_request(scope["headers"], contract.timeout)
    state.admission.enter(state.runners[model], deadline)
    try:
        principal = await admit(scope, state, ONE)
        body = await http.json_body(scope, receive, state.settings.max_row_bytes)
        sticky = canaries.sticky(scope["headers"]) if state.canaries else None
        asked = service.Asked(principal.username, request_id, started, deadline, sticky=sticky)
        if (key := idempotency.given(scope)) is not None:
            known = idempotency.key_of(principal.username, key, ONE.encode(), model.encode(), body)
            recorded, scope["state"]["replayed"] = await idempotency.predict(state, contract, asked, known, body)
            if scope["state"]["replayed"]:
                return recorded.answer(contract)
        else:
            recorded = await service.predict(state, contract, asked, contract.encode(contract.decode(body)))
        state.spool.answered.add(1)
        return recorded.answer(contract)
    finally:
        state.admission.leave()


def _headers(scope: Scope, request_id: str) -> list[tuple[bytes, bytes]]:
    """A refusal by the limit brings its own RateLimit-*."""
    rate = scope["state"].get("rate")
    edge: Edge = scope["app"].state.gateway.edge
    return [(b"x-request-id", request_id.encode()), *(rate.raw_headers() if rate is not None else ()), *edge.headers(scope)]


async def _refusal(scope: Scope, receive: Receive, error: Exception) -> Response:
    """As the framework would answer it, by the same handlers; there is one for every Exception."""
    handlers = scope["app"].exception_handlers
    kind = next(kind for kind in type(error).__mro__ if kind in handlers)
    response: Response = await handlers[kind](Request(scope, receive), error)
    return response
