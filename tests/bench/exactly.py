"""Answered = stored, by name: a fixed number of calls whose ids are all looked up afterwards. (wrk cannot name what it was answered.)"""

import asyncio
import json
from typing import Any

import aiohttp
import psycopg
from psycopg import sql

from tests.bench.target import Target

CALLERS = 16


async def _ask(target: Target, requests: int) -> list[str]:
    """The ids in the answers. Raises RuntimeError for one that is not 200."""
    call, answered = target.call(), list[str]()
    numbers = iter(range(requests))

    async def caller(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            async with session.post(call.url, data=call.bodies[number % len(call.bodies)], headers=call.headers) as response:
                body = await response.read()
                if response.status != 200:
                    raise RuntimeError(f"{target.name} answered {response.status}: {body[:300]!r}")
                answered.append(json.loads(body)["prediction_id"])

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        for _ in range(CALLERS):
            tasks.create_task(caller(session))
    return answered


def count(target: Target, database_url: str, table: str, requests: int) -> dict[str, Any]:
    """Answers, different ids among them, rows with these ids, and rows that the table gained."""
    before = target.stored() if target.stored else 0
    answered = asyncio.run(_ask(target, requests))
    with psycopg.connect(database_url) as connection:
        query = sql.SQL("SELECT count(*) FROM {} WHERE id = ANY(%s::uuid[])").format(sql.Identifier(table))
        found = connection.execute(query, (answered,)).fetchone()
    named = int(found[0]) if found else 0
    gained = (target.stored() if target.stored else 0) - before
    return {
        "answered": len(answered),
        "ids": len(set(answered)),
        "stored": named,
        "gained": gained,
        "exact": len(answered) == len(set(answered)) == named == gained,
    }
