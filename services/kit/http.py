"""The parts of HTTP that all our services share: request ids, problem+json, and reading a JSON body safely."""

import logging
import os
import re
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit import errors

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

T = TypeVar("T")

_WELL_FORMED_ID = re.compile(rb"^[A-Za-z0-9._-]{8,64}$")
_SECRET = re.compile(r"password|token|secret")
_BY_STATUS = {kind.status: kind for kind in (errors.BadRequest, errors.NotFound, errors.MethodNotAllowed, errors.TooLarge, errors.UnsupportedMedia)}
SHOWN_VALUE = 200
"""Characters of an offending value that an error repeats."""
SHOWN_ERRORS = 1000
"""Field errors that an answer lists; a large batch of a wrong form would have more than anybody reads."""


def problem_response(problem: errors.Problem, request_id: str) -> Response:
    return Response(orjson.dumps(problem.body(request_id), default=str), problem.status, problem.headers, "application/problem+json")


def field_errors(found: Sequence[Any], skip: int = 0) -> list[errors.FieldError]:
    """Pydantic's error list in our words; `skip` drops leading parts of the location such as `body`."""
    return [
        {
            "field": ".".join(str(part) for part in error["loc"][skip:]) or "body",
            "rule": error["msg"],
            "value": None if error["type"] == "missing" or _SECRET.search(str(error["loc"][-1:])) else shown(error.get("input")),
        }
        for error in found
    ]


def shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value if not isinstance(value, int) or abs(value) < 2**53 else str(value)[:SHOWN_VALUE]
    if isinstance(value, float):
        return value if abs(value) != float("inf") and value == value else str(value)
    if isinstance(value, dict):
        return f"object with {len(value)} keys"
    if isinstance(value, list):
        return f"array of {len(value)}"
    text = str(value)
    return text if len(text) <= SHOWN_VALUE else text[:SHOWN_VALUE] + "…"


def header(scope: Scope, name: bytes) -> bytes:
    """The first of that name, which is in lower case; empty when there is none."""
    for given, value in scope["headers"]:
        if given == name:
            return bytes(value)
    return b""


def require_json(scope: Scope) -> None:
    """Raises UnsupportedMedia."""
    given = header(scope, b"content-type")
    if given != b"application/json":
        kind = given.decode("latin-1").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise errors.UnsupportedMedia(f"Content-Type must be application/json, not {kind or 'absent'}.")


async def json_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """At most `limit` bytes, whatever Content-Length says. Raises UnsupportedMedia, TooLarge, or ClientDisconnect."""
    require_json(scope)
    return await body_of(scope, receive, limit)


async def body_of(scope: Scope, receive: Receive, limit: int) -> bytes:
    """At most `limit` bytes, whatever Content-Length says. Raises TooLarge, or ClientDisconnect."""
    declared = header(scope, b"content-length")
    size = int(declared) if declared.isdigit() else 0
    chunks: list[bytes] = []
    more = size <= limit
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if not chunks and not more and len(body) <= limit:
            return bytes(body)
        chunks.append(body)
        size = sum(map(len, chunks))
        more = more and size <= limit
    if size > limit:
        raise errors.TooLarge(f"The body may have {limit} bytes at most; send fewer rows, or use the batch endpoint.")
    return b"".join(chunks)


async def read_body(request: Request, limit: int) -> bytes:
    """`body_of` the request."""
    return await body_of(request.scope, request.receive, limit)


async def read_json(request: Request, adapter: TypeAdapter[T], limit: int) -> T:
    """The body as the adapter's type. Raises UnsupportedMedia, TooLarge, or Invalid with every error of the payload."""
    body = await json_body(request.scope, request.receive, limit)
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise invalid(error) from None


def invalid(error: ValidationError) -> errors.Problem:
    found = error.errors(include_url=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return errors.BadRequest(f"The body is not JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}.")
    return _all_at_once(found)


def _all_at_once(found: Sequence[Any], skip: int = 0) -> errors.Invalid:
    listed = field_errors(found[:SHOWN_ERRORS], skip)
    return errors.of_fields(listed, len(found))


_random = Random()  # noqa: S311 - ids are no secrets, and the kernel's numbers cost five times as much
os.register_at_fork(after_in_child=_random.seed)


def request_id_of(scope: Scope) -> str:
    """The caller's own id if it is well formed, else a new one."""
    given = header(scope, b"x-request-id")
    return given.decode() if given and _WELL_FORMED_ID.match(given) else f"{_random.getrandbits(128):032x}"


class RequestIds:
    """Gives every request an id, the caller's own if it is well formed, and every answer the header with it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        await self.app(scope, receive, send_with_id)


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", "-"))


def install(app: "FastAPI") -> None:
    """Every error of the app becomes problem+json; an unexpected one is logged whole and told without details."""
    from fastapi.exceptions import RequestValidationError  # a runner uses this module without FastAPI

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.Problem)
        return problem_response(error, _request_id(request))

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = error.errors()
        if any(part["type"] == "json_invalid" for part in found):
            return problem_response(errors.BadRequest("The body is not JSON."), _request_id(request))
        return problem_response(_all_at_once(found, skip=1), _request_id(request))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = _BY_STATUS.get(error.status_code, errors.BadRequest)
        detail = {404: f"There is nothing at {request.url.path}.", 405: f"{request.method} is not possible at {request.url.path}."}
        return problem_response(kind(detail.get(error.status_code, str(error.detail)), headers=dict(error.headers or {})), _request_id(request))

    async def on_unexpected(request: Request, error: Exception) -> Response:
        log.error("unexpected error", exc_info=error, extra={"request_id": _request_id(request), "path": request.url.path})
        request_id = _request_id(request)
        # Starlette answers these outside of all middleware, so the header is set here.
        problem = errors.Problem("Something went wrong on our side; the request id finds it in the log.", headers={"X-Request-ID": request_id})
        return problem_response(problem, request_id)

    app.add_exception_handler(errors.Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_unexpected)
    app.add_middleware(RequestIds)
