"""What happens before any endpoint: authenticate, authorize, count; then, for those of FastAPI, read the body within its limit."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from services.gateway.access import PUBLIC, TABLE, authorize
from services.gateway.auth.credentials import Principal
from services.gateway.state import State
from services.kit.errors import BadRequest, Unauthorized
from services.kit.http import read_body, require_json


def token_of(scope: Scope) -> str:
    """An API key or a bearer token. Raises Unauthorized."""
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return str(value.decode("latin-1"))
        if name == b"authorization":
            kind, _, token = value.decode("latin-1").partition(" ")
            if kind.lower() != "bearer" or not token:
                raise Unauthorized("The Authorization header must be: Bearer, a space, then an access token or an API key.")
            return str(token.strip())
    raise Unauthorized("No credentials: send an access token (Authorization: Bearer …) or an API key (X-API-Key: …).")


async def admit(scope: Scope, state: State, path: str) -> Principal:
    """Raises Unauthorized, Forbidden or TooManyRequests, in this order; `path` is the route's, as in the table.

    Leaves the route's path and the caller's rate limit in the request's state, where observe.py finds them.
    """
    scope["state"]["path"] = path
    token = token_of(scope)
    principal = state.credentials.known(token) or await state.credentials.verify(token)
    authorize((scope["method"], path), principal.role)
    scope["state"]["rate"] = state.rate.hit(principal.username)
    return principal


def require_plain_json(body: bytes) -> None:
    """Raises BadRequest also for what Python's own parser lets pass: NaN, Infinity, any depth."""
    try:
        from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


class GuardedRoute(APIRoute):
    """An endpoint behind the table: FastAPI would read the body, whatever its size, before it asks who is calling."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_body = self.body_field is not None

        async def guarded(request: Request) -> Response:
            state: State = request.app.state.gateway
            request.state.path = self.path
            if TABLE[(request.method, self.path)] != PUBLIC:
                request.state.principal = await admit(request.scope, state, self.path)
            if takes_body:
                require_json(request.scope)
                request._body = await read_body(request, state.settings.max_row_bytes)
                require_plain_json(request._body)
            return await handle(request)

        return guarded
