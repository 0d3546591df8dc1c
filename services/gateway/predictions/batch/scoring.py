"""Prepared rows through the hop, all answered by one state of the model."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

import msgspec

from services.gateway.predictions.batch import columns
from services.gateway.predictions.batch.columns import Pin, Scores
from services.gateway.predictions.batch.prepared import Chunk, Prepared
from services.gateway.predictions.hop import Moved, Runner, Scored
from services.kit.errors import TooManyRequests, Unavailable

AHEAD = 2
"""Calls under way for one batch, while what was answered before goes into the audit."""
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds after which a chunk that the runner refused because it is busy is asked for again: single predictions come first."""


async def first(runner: Runner, prepared: Prepared, deadline: float) -> tuple[int, Scores]:
    """The first chunk that has valid rows, by its beginning: its answer says which state the others are asked for."""
    async with aclosing(prepared.chunks()) as chunks:
        async for chunk in chunks:
            if chunk.texts:
                return chunk.begin, await _score(runner, chunk, None, deadline)
    raise AssertionError("a batch without any valid row is refused")


async def scored(runner: Runner, prepared: Prepared, known: tuple[int, Scores], deadline: float) -> AsyncGenerator[tuple[Chunk, Scores | None]]:
    """All chunks in order, that of `known` among them; None for one without valid rows. Raises Moved when the state of `known` answers no more.

    Close it (contextlib.aclosing): calls may be under way.
    """
    waiting: deque[tuple[Chunk, asyncio.Task[Scores] | None]] = deque()

    async def oldest() -> tuple[Chunk, Scores | None]:
        chunk, task = waiting.popleft()
        return chunk, known[1] if chunk.begin == known[0] else await task if task else None

    try:
        async with aclosing(prepared.chunks()) as chunks:
            async for chunk in chunks:
                asks = chunk.texts and chunk.begin != known[0]
                waiting.append((chunk, asyncio.create_task(_score(runner, chunk, known[1].by, deadline)) if asks else None))
                if len(waiting) > AHEAD:
                    yield await oldest()
        while waiting:
            yield await oldest()
    finally:
        for _, task in waiting:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task


async def _score(runner: Runner, chunk: Chunk, pin: Pin | None, deadline: float) -> Scores:
    for pause in PAUSES:
        try:
            return await _once(runner, chunk, pin, deadline)
        except (TooManyRequests, Unavailable):
            if asyncio.get_running_loop().time() + pause >= deadline:
                raise
        await asyncio.sleep(pause)
    return await _once(runner, chunk, pin, deadline)


async def _once(runner: Runner, chunk: Chunk, pin: Pin | None, deadline: float) -> Scores:
    if chunk.block is None:
        found = _of_documents(await runner.many(chunk.texts, deadline))
    else:
        found = columns.decode(runner.model, chunk.block.rows, await runner.columns(chunk.block.request(pin), deadline))
    if pin is not None and found.by != pin:
        raise Moved
    return found


def _of_documents(scored: Scored) -> Scores:
    documents: list[dict[str, Any]] = [msgspec.json.decode(answer) for answer in scored.answers]
    values = {name: [document.get(name) for document in documents] for name in documents[0]}
    return Scores(Pin(scored.version, scored.policy_version), values, scored.scores, scored.decisions)
