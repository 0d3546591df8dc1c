"""Whether the gateway can do its work, and what is the matter with the others, in words."""

import asyncio
import time
from typing import Any

import aiohttp
import psycopg

from services.gateway.predictions import repository
from services.gateway.predictions.hop import Runners
from services.kit.postgres import Pool

SECONDS = 1.0
"""Each part has this long to answer, and an answer is shown again for as long: /health is public."""

Part = dict[str, Any]


class Health:
    def __init__(self, pool: Pool, session: aiohttp.ClientSession, control_url: str, runners: Runners) -> None:
        self._pool = pool
        self._session = session
        self._control_url = control_url
        self._runners = runners
        self._last: tuple[float, Part] | None = None
        self._turn = asyncio.Lock()
        self._was_ready = False

    async def report(self) -> Part:
        """`status` is ok, degraded (something is away, predictions may go on) or down (the database is away)."""
        async with self._turn:
            if self._last is None or time.monotonic() - self._last[0] > SECONDS:
                self._last = (time.monotonic(), await self._look())
            return self._last[1]

    async def ready(self) -> tuple[bool, str]:
        """Whether predictions can be recorded, or could be until the database went away; and the database's state in words."""
        database = await self.database()
        if database["answers"]:
            self._was_ready = database["ok"]
        return self._was_ready, database["words"]

    async def database(self) -> Part:
        try:
            async with asyncio.timeout(SECONDS), self._pool.connection(timeout=SECONDS) as connection:
                ready = await repository.has_partition(connection)
        except (psycopg.Error, TimeoutError):
            return {"ok": False, "answers": False, "words": "Does not answer: predictions go to the spool, or are refused for models that have none."}
        return {"ok": ready, "answers": True, "words": "Answers." if ready else "Answers, but this month's partition of predictions is missing."}

    async def _look(self) -> Part:
        names = [name for name, _ in self._runners.items()]
        database, control, *runners = await asyncio.gather(self.database(), self._control(), *(self._runner(name) for name in names))
        well = all(part["ok"] for part in (control, *runners))
        status = "down" if not database["ok"] else "ok" if well else "degraded"
        return {"status": status, "database": database, "control": control, "runners": dict(zip(names, runners, strict=True))}

    async def _control(self) -> Part:
        found = await self._get(f"{self._control_url}/livez")
        return {"ok": found is not None, "words": "Answers." if found is not None else "Does not answer: promotions wait, predictions go on."}

    async def _runner(self, model: str) -> Part:
        slots = await self._get(f"{self._runners[model].url}/slots")
        if slots is None:
            return {"ok": False, "words": "Does not answer."}
        champion = slots.get("champion")
        if not champion:
            return {"ok": False, "words": "Answers, but has no version to serve yet."}
        return {"ok": True, "words": f"Serves version {champion.get('version')}.", "version": champion.get("version")}

    async def _get(self, url: str) -> Part | None:
        """None unless it answers 200 in time; a body that is no JSON object counts as an empty one."""
        try:
            async with self._session.get(url, timeout=aiohttp.ClientTimeout(total=SECONDS)) as response:
                if response.status != 200:
                    return None
                answer = await response.json(content_type=None)
                return answer if isinstance(answer, dict) else {}
        except (aiohttp.ClientError, TimeoutError):
            return None
        except ValueError:
            return {}
