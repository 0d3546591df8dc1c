"""The gateway: the data plane and the only public service."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway import access, hot, openapi
from services.gateway.auth import endpoints as auth
from services.gateway.auth import users
from services.gateway.inference import endpoints as inference
from services.gateway.inference.spoken import Spoken
from services.gateway.models import endpoints as models
from services.gateway.observe import Observe
from services.gateway.operations import endpoints as operations
from services.gateway.predictions import endpoints as predictions
from services.gateway.predictions import history
from services.gateway.predictions.contracts import Contracts
from services.gateway.state import State
from services.kit import http, postgres_errors
from services.kit.connections import DOORKEEPER
from services.kit.errors import BadRequest, RequestTimeout

log = logging.getLogger(__name__)

Opened = Callable[[], AbstractAsyncContextManager[State]]


class Application(FastAPI):
    """FastAPI with a way past it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if hot.takes(scope):
            scope["app"] = self
            await _predict(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


_predict = hot.Predict()


def create(contracts: Contracts, opened: Opened) -> FastAPI:
    """`opened` gives the collaborators for as long as the app runs. Raises LookupError when a route is missing in the table of roles."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with opened() as state:
            app.state.gateway = state
            yield {DOORKEEPER: state.admission}

    app = Application(title="Modelyard", lifespan=lifespan, redoc_url=None, swagger_ui_oauth2_redirect_url=None)
    # The hot routes come first: routes are tried in order.
    app.router.routes[:0] = [*predictions.routes, *inference.routes]
    for router in (history.router, inference.router, auth.router, users.router, models.router, operations.router):
        app.router.routes.extend(router.routes)
    access.check(app.routes)
    openapi.install(app, contracts)
    http.install(app)
    postgres_errors.install(app)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Spoken)
    app.add_middleware(Observe)
    return app


async def _gone(request: Request, _error: Exception) -> Response:
    """Nobody reads it; it is counted by its status. A client that was too slow has its answer from kit/connections.py."""
    return Response(status_code=RequestTimeout.status if request.scope["state"].get("slow") else BadRequest.status)
