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
from services.gateway.compressed import Compressed
from services.gateway.crypto import endpoints as crypto
from services.gateway.crypto import forecasts
from services.gateway.documentation import endpoints as documentation
from services.gateway.edge import Bordered
from services.gateway.explanations import endpoints as explanations
from services.gateway.inference import endpoints as inference
from services.gateway.inference.spoken import Spoken
from services.gateway.lineage import endpoints as lineage
from services.gateway.methods import Methods
from services.gateway.models import drift, evaluations
from services.gateway.models import endpoints as models
from services.gateway.observe import Observe
from services.gateway.operations import endpoints as operations
from services.gateway.outcomes import endpoints as outcomes
from services.gateway.predictions import endpoints as predictions
from services.gateway.predictions import history
from services.gateway.predictions.contracts import Contracts
from services.gateway.reports import endpoints as reports
from services.gateway.rollouts import endpoints as rollouts
from services.gateway.scored import endpoints as scored
from services.gateway.state import State
from services.gateway.workflows import endpoints as workflows
from services.gateway.workflows import submissions
from services.kit import http, postgres_errors
from services.kit.connections import DOORKEEPER
from services.kit.errors import BadRequest, RequestTimeout

log = logging.getLogger(__name__)

Opened = Callable[[], AbstractAsyncContextManager[State]]

FEATURES = (
    history,
    outcomes,
    explanations,
    reports,
    models,
    evaluations,
    workflows,
    submissions,
    crypto,
    forecasts,
    drift,
    inference,
    auth,
    users,
    operations,
    documentation,
    lineage,
    rollouts,
    scored,
)
"""In this order their endpoints stand in the description."""


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

    app = Application(title="Modelyard", lifespan=lifespan, docs_url=None, redoc_url=None)
    # The hot routes come first: routes are tried in order.
    app.router.routes[:0] = [*predictions.routes, *inference.routes, *explanations.routes]
    for feature in FEATURES:
        app.router.routes.extend(feature.router.routes)
    access.check(app.routes)
    openapi.install(app, contracts)
    # Inside of request ids, which http.install adds.
    app.add_middleware(Methods, routes=app.router.routes)
    http.install(app)
    postgres_errors.install(app)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Spoken)
    app.add_middleware(Compressed)
    app.add_middleware(Observe)
    app.add_middleware(Bordered)
    return app


async def _gone(request: Request, _error: Exception) -> Response:
    """Nobody reads it; it is counted by its status. A client that was too slow has its answer from kit/connections.py."""
    return Response(status_code=RequestTimeout.status if request.scope["state"].get("slow") else BadRequest.status)
