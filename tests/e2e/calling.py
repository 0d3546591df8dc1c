"""Somebody who asks without a pause, on several connections that are kept open, and counts everything."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp


@dataclass
class Calls:
    """What was asked and what was answered. Whatever is not 200 is a failed request: nothing is tried again."""

    statuses: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)
    """Of the predictions that were answered."""
    versions: list[tuple[float, str]] = field(default_factory=list)
    """The version that each answer names, with the moment of the answer."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds."""

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status != "200")

    def longest_gap(self) -> float:
        """Seconds without a single good answer."""
        return max((later - earlier for (earlier, _), (later, _) in pairwise(self.versions)), default=float("inf"))


@contextmanager
def calling(url: str, headers: dict[str, str], body: dict[str, object], *, connections: int = 4, pause: float = 0.01, seconds: float = 30.0) -> Iterator[Calls]:
    """Asks as long as the block lasts; `pause` seconds between an answer and the next request of a connection, `seconds` is what an answer may take."""
    calls, ended = Calls(), threading.Event()

    async def one(session: aiohttp.ClientSession, payload: bytes) -> None:
        while not ended.is_set():
            began = time.monotonic()
            try:
                async with session.post(url, data=payload, headers=headers | {"Content-Type": "application/json"}) as response:
                    answer = await response.read()
                    status = str(response.status)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                answer, status = b"", type(error).__name__
                calls.failures.append((began, f"{status}: {error}"))
            now = time.monotonic()
            calls.statuses[status] += 1
            calls.slowest = max(calls.slowest, now - began)
            if status == "200":
                document = json.loads(answer)
                calls.ids.append(document["prediction_id"])
                calls.versions.append((now, document["model_version"]))
            elif answer:
                calls.failures.append((began, f"{status}: {answer[:300].decode(errors='replace')}"))
            await asyncio.sleep(pause)

    async def all_of_them() -> None:
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            await asyncio.gather(*(one(session, json.dumps(body).encode()) for _ in range(connections)))

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    try:
        yield calls
    finally:
        ended.set()
        thread.join()
