from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from bentos.catalogue import Catalogue
from services.control import audit, deployments, drift, figures, health, lineage, market, notifications, registry, retraining, rollouts, scored, workflows
from services.control.audit.repository import AuditRepository
from services.control.deployments.repository import DeploymentsRepository
from services.control.deployments.service import Deployments
from services.control.deployments.waiters import Waiters, watching
from services.control.drift.repository import DriftRepository
from services.control.drift.service import Drift
from services.control.files import Files
from services.control.lineage.repository import LineageRepository
from services.control.lineage.service import Lineage
from services.control.market.service import Market
from services.control.notifications.service import Notifier
from services.control.notifications.telling import Watches
from services.control.registry.repository import RegistryRepository
from services.control.registry.service import Registry
from services.control.retraining.repository import RetrainingRepository
from services.control.retraining.service import Retrainings
from services.control.rollouts.answered.repository import FiguresRepository
from services.control.rollouts.repository import RolloutsRepository
from services.control.rollouts.service import Rollouts
from services.control.schedules.service import keeping
from services.control.scored.repository import ScoredRepository
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
    market: Market
    audit: AuditRepository
    lineage: Lineage
    drift: Drift
    notifier: Notifier
    retrainings: Retrainings
    rollouts: Rollouts
    scored: ScoredRepository
    files: Files


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
        misses one, what shows figures as metrics, and what keeps candles fresh. Workflow runs come last: they begin at once with what was queued, and
        their steps call this service. The end is the same backwards: no step outlives control, and its last words still reach the database.
        """
        async with AsyncExitStack() as stack:
            pool = await open_pool(settings.database_url, "control")
            stack.push_async_callback(pool.close)
            ledger = DeploymentsRepository(pool)
            await stack.enter_async_context(watching(settings.database_url, ledger, waiters, catalogue.models))
            await stack.enter_async_context(figures.showing(pool, catalogue.models))
            opened = await stack.enter_async_context(market.opened(settings, pool, catalogue.of_feed("candles")))
            notifier = await stack.enter_async_context(notifications.sending(settings, pool))
            deployed = Deployments(ledger, waiters, catalogue)
            tried = Rollouts(RolloutsRepository(pool, settings.database_url), FiguresRepository(pool), deployed, Watches(pool))
            await stack.enter_async_context(rollouts.led(settings.database_url, tried))
            runs = RunsRepository(pool)
            queue = Queue(runs, catalogue, settings.workflows_at_once)
            carried_out = await stack.enter_async_context(carrying_out(settings, queue, pipeline, environment))
            retrainings = Retrainings(RetrainingRepository(pool), carried_out, catalogue)
            await stack.enter_async_context(keeping(settings.database_url, pool, carried_out, retrainings, runs, catalogue))
            checks = Drift(DriftRepository(pool), retrainings, notifications)
            await stack.enter_async_context(drift.remembering(settings.database_url, checks, catalogue.models))
            versions = Registry(RegistryRepository(pool), catalogue, settings.mlflow_url)
            yield State(
                catalogue=catalogue,
                token=settings.token.get_secret_value(),
                pool=pool,
                deployments=deployed,
                registry=versions,
                runs=runs,
                workflows=carried_out,
                market=opened,
                audit=AuditRepository(settings.database_url),
                lineage=Lineage(LineageRepository(pool), versions),
                drift=checks,
                notifier=notifier,
                retrainings=retrainings,
                rollouts=tried,
                scored=ScoredRepository(pool),
                files=Files(settings.mlflow_url),
            )

    app = FastAPI(title="Modelyard control", lifespan=lifespan, openapi_url=None)
    app.state.waiters = waiters
    http.install(app)
    postgres_errors.install(app)
    for feature in (health, deployments, registry, workflows, market, audit, lineage, drift, notifications, retraining, rollouts, scored):
        app.include_router(feature.router)
    return app
