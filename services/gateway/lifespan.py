"""From settings to running collaborators, and back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from services.gateway.auth.administration import Administration
from services.gateway.auth.credentials import Credentials
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.service import Sessions
from services.gateway.auth.tokens import AccessTokens
from services.gateway.limits import Limit
from services.gateway.models.service import Control
from services.gateway.operations.service import Health
from services.gateway.predictions.contracts import Contracts
from services.gateway.predictions.journal import Journal
from services.gateway.predictions.runners import Runner
from services.gateway.settings import Settings
from services.gateway.state import State
from services.gateway.upkeep import Upkeep, in_background
from services.kit import postgres

JOURNAL_ROWS = 20_000
BATCH_ROWS = 50_000
START_SECONDS = 2.0


@asynccontextmanager
async def running(settings: Settings, contracts: Contracts, passwords: Passwords) -> AsyncIterator[State]:
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

        async def journal(rows: int) -> Journal:
            made = Journal(lambda: postgres.connect(url, "gateway-journal", autocommit=True), patience=settings.audit_patience_seconds, capacity=rows)
            return await stack.enter_async_context(made.running())

        runners = {
            name: Runner(session, name, settings.runner(name), timeout=contract.timeout, calls=settings.runner_calls) for name, contract in contracts.items()
        }
        state = State(
            settings=settings,
            contracts=contracts,
            pool=pool,
            credentials=credentials,
            sessions=Sessions(pool, passwords, tokens, credentials, settings.refresh_days),
            administration=administration,
            rate=Limit("user", settings.rate_limit),
            logins=Limit("login", settings.login_limit),
            journal=await journal(JOURNAL_ROWS),
            batches=await journal(BATCH_ROWS),
            runners=runners,
            control=Control(session, settings.control_url, settings.control_token.get_secret_value()),
            health=Health(pool, session, settings.control_url, runners),
        )
        await upkeep.wait(START_SECONDS)
        yield state
