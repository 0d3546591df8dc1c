"""The route that the gateway calls. It never passes Bento's middleware, which keeps 5 KB and a timer alive for every request."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bentos.serving.metrics import CONTENT_TYPE
from bentos.serving.predictor import Predictor
from services.kit import errors
from services.kit.http import problem_response, read_body

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 2**20
MOST_BYTES_INLINE = 512 * 1024
"""A larger body is parsed in a thread."""


class HotApp:
    """`POST /rows`, `GET /slots` and `GET /metrics`. `app` is what Bento mounts; calling the object itself skips the router for /rows."""

    def __init__(self, model: str, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]) -> None:
        """`lifespan` sets `app.state.predictor`."""
        self._model = model
        routes = [Route("/rows", self.rows, methods=["POST"]), Route("/slots", self.slots), Route("/metrics", self.metrics)]
        self.app = Starlette(routes=routes, lifespan=lifespan)

    @property
    def predictor(self) -> Predictor:
        predictor: Predictor = self.app.state.predictor
        return predictor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/rows" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        response = await self.rows(Request(scope, receive))
        await response(scope, receive, send)

    async def rows(self, request: Request) -> Response:
        try:
            with self.predictor:
                rows = await self._rows_of(await read_body(request, MOST_BYTES))
                return Response(orjson.dumps(await self.predictor.predict(rows)), media_type="application/json")
        except errors.Problem as problem:
            return problem_response(problem, request.headers.get("x-request-id", "-"))
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:
            request_id = request.headers.get("x-request-id", "-")
            log.exception("unexpected error", extra={"model": self._model, "request_id": request_id})
            return problem_response(errors.Problem("The runner failed on these rows; the request id finds it in its log."), request_id)

    async def _rows_of(self, body: bytes) -> list[dict[str, Any]]:
        try:
            call = orjson.loads(body) if len(body) <= MOST_BYTES_INLINE else await asyncio.to_thread(orjson.loads, body)
        except orjson.JSONDecodeError as error:
            raise errors.BadRequest(f"The body is not JSON: {error}.") from None
        rows = call.get("rows") if isinstance(call, dict) else None
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            found = [errors.FieldError(field="rows", rule="must be a list of at least one object", value=None)]
            raise errors.Invalid("The body must be an object with `rows`, a list of at least one object.", errors=found)
        return rows

    async def slots(self, _: Request) -> Response:
        return Response(orjson.dumps(self.predictor.runner.document()), media_type="application/json")

    async def metrics(self, _: Request) -> Response:
        return Response(self.predictor.metrics.text(), media_type=CONTENT_TYPE)
