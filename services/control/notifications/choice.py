"""From settings to an outbox that is emptied."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from services.control.leader import lead
from services.control.notifications import configuration
from services.control.notifications.channels.opening import senders
from services.control.notifications.repository import CHANNEL, NotificationsRepository
from services.control.notifications.service import Notifier
from services.control.settings import Settings
from services.kit.locks import AdvisoryLock
from services.kit.postgres import Pool
from services.kit.tasks import beside


@asynccontextmanager
async def sending(settings: Settings, pool: Pool) -> AsyncIterator[Notifier]:
    """Raises ValueError for a file of channels that is wrong."""
    channels = configuration.load(settings.notifications)
    # As the machine says: a company's laptop reaches the internet through a proxy.
    async with aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar()) as session:
        notifier = Notifier(NotificationsRepository(pool), channels, senders(channels, session, os.environ))
        async with beside(lead(settings.database_url, "control-notifications", AdvisoryLock.NOTIFICATIONS, notifier.run, CHANNEL), "send notifications"):
            yield notifier
