"""From settings to a market that is kept fresh, or to one that is switched off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from services.control.market.history import History
from services.control.market.kraken import Kraken
from services.control.market.outcomes import Outcomes
from services.control.market.refresh import refreshing
from services.control.market.repository import MarketRepository
from services.control.market.service import Market
from services.control.settings import Settings
from services.kit.postgres import Pool


@asynccontextmanager
async def opened(settings: Settings, pool: Pool, model: str | None) -> AsyncIterator[Market]:
    """`model` is the one that forecasts candles, if there is one."""
    repository = MarketRepository(pool)
    if not settings.kraken_url:
        yield Market(None, repository)
        return
    # As the machine says: a company's laptop reaches the internet through a proxy.
    async with aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar()) as session:
        kraken = Kraken(session, settings.kraken_url, spacing=settings.kraken_spacing_seconds)
        history = History(kraken, repository, settings.market_history_days)
        async with refreshing(settings.database_url, kraken, repository, history, Outcomes(repository, model), settings.market_refresh_seconds):
            yield Market(kraken, repository)
