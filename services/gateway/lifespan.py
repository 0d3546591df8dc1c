"""From settings to running collaborators, and back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp

from services.gateway.admission import Admission
from services.gateway.auth.administration import Administration
from services.gateway.auth.credentials import Credentials
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.service import Sessions
from services.gateway.auth.tokens import AccessTokens
from services.gateway.deadlines import Deadlines
from services.gateway.edge import Edge
from services.gateway.ledger.verifying import Verifier
from services.gateway.limits import Limit
from services.gateway.models.service import Control
from services.gateway.models.traffic import Counts
from services.gateway.operations.service import Health
from services.gateway.outcomes.service import Outcomes
from services.gateway.predictions.batch.audit import Audit
from services.gateway.predictions.batch.service import Batches
from services.gateway.predictions.contracts import Contracts
from services.gateway.predictions.export import Exports
from services.gateway.predictions.hop import Runner
from services.gateway.predictions.journal import Journal
from services.gateway.predictions.spool import Spool
from services.gateway.predictions.spool.emptying import keep_empty
from services.gateway.reports.process import Reports
from services.gateway.rollouts.canaries import Canaries, following
from services.gateway.settings import Settings
from services.gateway.state import State
from services.gateway.upkeep import Upkeep, in_background
from services.kit import postgres
from services.kit.ids import node

JOURNAL_ROWS = 20_000
BATCH_ROWS = 50_000
BATCH_STATEMENT_MS = 120_000
"""A batch's COPY lasts as long as its rows are being scored."""
EXPORT_STATEMENT_MS = 1_800_000
"""An export lasts as long as its caller reads."""
START_SECONDS = 2.0


@asynccontextmanager
async def running(settings: Settings, contracts: Contracts, passwords: Passwords, shared: Path | None = None) -> AsyncIterator[State]:
    """Opened in the order in which things need each other; closed in the reverse one, so that journals are empty before the database goes."""
    url = settings.database_url.get_secret_value()
    async with AsyncExitStack() as stack:
        pool = await postgres.open_pool(url, "gateway", max_size=8, timeout=2.0)
        stack.push_async_callback(pool.close)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()))

        tokens = AccessTokens(settings.jwt_secret.get_secret_value(), settings.access_minutes)
        credentials = Credentials(pool, tokens)
        administration = Administration(pool, passwords, credentials)
        await stack.enter_async_context(in_background("listening for revocations", lambda: credentials.listen(url)))
        upkeep = Upkeep(pool, administration, settings)
        await stack.enter_async_context(in_background("upkeep", upkeep.run))

        deadlines = Deadlines()
        await stack.enter_async_context(in_background("deadlines", deadlines.run))
        spool = await Spool.open(settings.spool_dir, node(), settings.spool_max_bytes)
        stack.push_async_callback(spool.close)

        connect = partial(postgres.connect, url, "gateway-journal", autocommit=True)
        await stack.enter_async_context(in_background("emptying the spool", partial(keep_empty, spool, connect)))

        async def journal(rows: int) -> Journal:
            made = Journal(connect, spool, deadlines, patience=settings.audit_patience_seconds, capacity=rows)
            return await stack.enter_async_context(made.running())

        batch_journal = await journal(BATCH_ROWS)
        batch_connection = partial(postgres.connect, url, "gateway-batch", autocommit=True, statement_timeout_ms=BATCH_STATEMENT_MS)

        max_wait = settings.max_wait_ms / 1000
        runners = {name: Runner(name, settings.runner(name), deadlines, calls=settings.runner_calls, max_wait=max_wait) for name in contracts}
        for runner in runners.values():
            await stack.enter_async_context(runner.watching())
        canaries = Canaries()
        await stack.enter_async_context(in_background("canaries", lambda: following(url, pool, canaries, runners)))
        admission = Admission(max_wait, runners)
        await stack.enter_async_context(in_background("admission", admission.run))

        control = Control(session, settings.control_url, settings.control_token.get_secret_value())
        verifier = Verifier(url, pool, control, contracts, runners)
        await stack.enter_async_context(in_background("verifying decisions", verifier.run))

        state = State(
            settings=settings,
            edge=Edge(settings),
            contracts=contracts,
            pool=pool,
            credentials=credentials,
            sessions=Sessions(pool, passwords, tokens, credentials, settings.refresh_days),
            administration=administration,
            rate=Limit("user", settings.rate_limit, shared),
            logins=Limit("login", settings.login_limit, shared),
            deadlines=deadlines,
            admission=admission,
            spool=spool,
            journal=await journal(JOURNAL_ROWS),
            batches=Batches(batch_journal, Audit(batch_connection, patience=settings.audit_patience_seconds), at_once=settings.batches_at_once),
            runners=runners,
            control=control,
            health=Health(pool, session, settings.control_url, runners),
            reports=Reports(),
            outcomes=Outcomes(pool, contracts),
            exports=Exports(partial(postgres.connect, url, "gateway-export", autocommit=True, statement_timeout_ms=EXPORT_STATEMENT_MS)),
            traffic=Counts(shared),
            verifier=verifier,
            canaries=canaries,
        )
        await upkeep.wait(START_SECONDS)
        yield state
