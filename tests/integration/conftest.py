from collections.abc import AsyncIterator

import pytest

from tests.gateway import Gateway, started


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    async with started(database_url) as running:
        yield running
