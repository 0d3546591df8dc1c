from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from bentos.catalogue import Catalogue
from services.control import deployments, figures, health, registry, workflows
from services.control.deployments.repository import DeploymentsRepository
from services.control.deployments.service import Deployments
from services.control.deployments.waiters import Waiters, watching
from services.control.registry.repository import RegistryRepository
from services.control.registry.service import Registry
from services.control.settings import Settings
from services.control.workflows.choice import carrying_out
from services.control.workflows.protocol import Workflows
from services.control.workflows.queue import Queue
from services.control.workflows.repository import RunsRepository
from services.kit import http, postgres_errors
from services.kit.postgres import Pool, open_pool


class State(TypedDict):
    """What endpoints find in `request.state`."""

    catalogue: Catalogue
    token: str
    pool: Pool
    deployments: Deployments
    registry: Registry
    runs: RunsRepository
    workflows: Workflows


def create_app(settings: Settings, catalogue: Catalogue, *, pipeline: Sequence[str], environment: Mapping[str, str]) -> FastAPI:
    """`pipeline` is the command that a workflow step's verb and arguments follow, `environment` all that it sees.

    `app.state.waiters.close` releases the long polls: the server calls it when it is asked to stop, because it runs the
    lifespan's end only after the last request, and a long poll would make that a minute.
    """
    waiters = Waiters()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        """The pool comes first, since everything reads through it, and does not wait for the database: control starts without it,
        says so in /readyz, and goes on when it is there. Then what listens for changes of the ledger, so that no long poll
        misses one, and what shows figures as metrics. Workflow runs come last: they begin at once with what was queued, and their steps call this service.
        The end is the same backwards: no step outlives control, and its last words still reach the database.
        """
        async with AsyncExitStack() as stack:
            pool = await open_pool(settings.database_url, "control")
            stack.push_async_callback(pool.close)
            ledger = DeploymentsRepository(pool)
            await stack.enter_async_context(watching(settings.database_url, ledger, waiters, catalogue.models))
            await stack.enter_async_context(figures.showing(pool, catalogue.models))
            runs = RunsRepository(pool)
            queue = Queue(runs, catalogue, settings.workflows_at_once)
            carried_out = await stack.enter_async_context(carrying_out(settings, queue, pipeline, environment))
            yield State(
                catalogue=catalogue,
                token=settings.token.get_secret_value(),
                pool=pool,
                deployments=Deployments(ledger, waiters, catalogue),
                registry=Registry(RegistryRepository(pool), catalogue, settings.mlflow_url),
                runs=runs,
                workflows=carried_out,
            )

    app = FastAPI(title="Modelyard control", lifespan=lifespan, openapi_url=None)
    app.state.waiters = waiters
    http.install(app)
    postgres_errors.install(app)
    for feature in (health, deployments, registry, workflows):
        app.include_router(feature.router)
    return app
