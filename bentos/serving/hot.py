"""The routes that the gateway calls. They never pass Bento's middleware, which keeps 5 KB and a timer alive for every request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bentos.serving import columns, reproducing
from bentos.serving.metrics import CONTENT_TYPE
from bentos.serving.open_inference import OpenInference
from bentos.serving.predictor import Predictor
from services.kit import errors
from services.kit.http import problem_response

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 2**20
MOST_BYTES_INLINE = 512 * 1024
"""A larger body is parsed in a thread."""


Admitted = Callable[[Predictor, Iterable[tuple[bytes, bytes]]], AbstractContextManager[None]]


class Direct:
    """A route that reads one body and answers with another, as bare ASGI: a request and a response object would cost as much as scoring a row."""

    def __init__(
        self,
        model: str,
        predictor: Callable[[], Predictor],
        answered: Callable[[Predictor, bytes], Awaitable[bytes]],
        kind: str,
        admitted: Admitted = lambda predictor, headers: predictor.admission.call(headers),
    ) -> None:
        """`kind`: of the answer. `admitted`: what is held while a call lasts, which refuses to be entered when there are too many."""
        self._model, self._predictor, self._answered, self._admitted = model, predictor, answered, admitted
        self._headers = [(b"content-type", kind.encode())]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            predictor = self._predictor()
            with self._admitted(predictor, scope["headers"]):
                content = await self._answered(predictor, await _body(receive))
        except errors.Problem as problem:
            await problem_response(problem, _request_id(scope))(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception:
            request_id = _request_id(scope)
            log.exception("unexpected error", extra={"model": self._model, "request_id": request_id})
            unexpected = errors.Problem("The runner failed on these rows; the request id finds it in its log.")
            await problem_response(unexpected, request_id)(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [*self._headers, (b"content-length", b"%d" % len(content))]})
            await send({"type": "http.response.body", "body": content})


async def _body(receive: Receive) -> bytes:
    """Raises TooLarge, or ClientDisconnect."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False) and len(body) <= MOST_BYTES:
        return body
    chunks, size = [body], len(body)
    while message.get("more_body", False) and size <= MOST_BYTES:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if size > MOST_BYTES:
        raise errors.TooLarge(f"The body may have {MOST_BYTES} bytes at most; send fewer rows at a time.")
    return b"".join(chunks)


def _request_id(scope: Scope) -> str:
    return next((str(value, "latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "-")


async def _rows(predictor: Predictor, body: bytes) -> bytes:
    try:
        call = orjson.loads(body) if len(body) <= MOST_BYTES_INLINE else await asyncio.to_thread(orjson.loads, body)
    except orjson.JSONDecodeError as error:
        raise errors.BadRequest(f"The body is not JSON: {error}.") from None
    rows = call.get("rows") if isinstance(call, dict) else None
    if not isinstance(rows, list) or set(map(type, rows)) != {dict}:
        found = [errors.FieldError(field="rows", rule="must be a list of at least one object", value=None)]
        raise errors.Invalid("The body must be an object with `rows`, a list of at least one object.", errors=found)
    return orjson.dumps(await predictor.predict(rows, by_challenger=call.get("slot") == "challenger"))


async def _explanation(predictor: Predictor, body: bytes) -> bytes:
    return await predictor.explaining.explain(body)


async def _reproduction(predictor: Predictor, body: bytes) -> bytes:
    return await reproducing.reproduce(predictor.explaining, body)


class HotApp:
    """`POST /rows`, `/columns`, `/explain` and `/reproduce`, `GET /slots` and `/metrics`, and the Open Inference Protocol. `app` is what Bento mounts;
    calling the object itself skips the router for the first four."""

    def __init__(self, model: str, lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]]) -> None:
        """`lifespan` sets `app.state.predictor`."""

        def predictor() -> Predictor:
            return self.predictor

        def beside(predictor: Predictor, headers: Iterable[tuple[bytes, bytes]]) -> AbstractContextManager[None]:
            return predictor.explaining.call(headers)

        self._direct = {
            "/rows": Direct(model, predictor, _rows, "application/json"),
            "/columns": Direct(model, predictor, Predictor.predict_columns, columns.CONTENT_TYPE),
            "/explain": Direct(model, predictor, _explanation, "application/json", beside),
            "/reproduce": Direct(model, predictor, _reproduction, "application/json", beside),
        }
        routes = [Route(path, answer, methods=["POST"]) for path, answer in self._direct.items()]
        routes += [Route("/slots", self.slots), Route("/metrics", self.metrics), *OpenInference(model, predictor).routes()]
        self.app = Starlette(routes=routes, lifespan=lifespan)

    @property
    def predictor(self) -> Predictor:
        predictor: Predictor = self.app.state.predictor
        return predictor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._direct.get(scope["path"]) if scope["method"] == "POST" else None
        await (answer or self.app)(scope, receive, send)

    async def slots(self, _: Request) -> Response:
        return Response(orjson.dumps(self.predictor.runner.document()), media_type="application/json")

    async def metrics(self, _: Request) -> Response:
        return Response(self.predictor.metrics.text(), media_type=CONTENT_TYPE)
