"""Keeps the slots as control wants them: one task listens, one converges, one reports. Whatever is away or refused, what serves keeps serving."""

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from bentos.serving.artifact import Refused
from bentos.serving.cache import Cache
from bentos.serving.library import Library
from bentos.serving.metrics import Metrics
from bentos.serving.slots import Runner, Slot
from bentos.serving.upstream import Away, Upstream
from bentos.serving.wanted import Wanted, WantedVersion

log = logging.getLogger(__name__)

REPORT_SECONDS = 15
WATCHED_SECONDS = 2
"""While a version is tried, or a new champion is watched."""


def delays(first: float, most: float) -> Iterator[float]:
    """Doubling pauses with jitter, so that runners do not come back all at once."""
    pause = first
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing
        pause = min(pause * 2, most)


class Watcher:
    def __init__(self, runner: Runner, upstream: Upstream, library: Library, cache: Cache, metrics: Metrics, pin: str | None) -> None:
        """`pin`: the champion is this version whatever control says; the policy is still control's."""
        self._runner, self._upstream, self._library, self._cache, self._metrics = runner, upstream, library, cache, metrics
        self._pin = pin
        self._wanted = Wanted()
        self._changed = asyncio.Event()
        self._news = asyncio.Event()
        self._watched_until = 0.0

    async def restore(self) -> None:
        """Serves again what served before the restart, else what the image has, without asking anybody."""
        for state in (self._cache.remembered(), self._library.baked):
            if state is not None and self._runner.slots.champion is None:
                with suppress(Refused, Away):
                    await self._attempt(state, online=False)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._converge())
            tasks.create_task(self._report())

    async def _listen(self) -> None:
        etag: str | None = None
        pauses = delays(0.2, 10)
        while True:
            try:
                told = await self._upstream.wanted(etag)
            except Away as reason:
                pause = next(pauses)
                log.warning("control is away, serving goes on", extra=self._about(reason=str(reason), retry_in=round(pause, 2)))
                await asyncio.sleep(pause)
                continue
            pauses = delays(0.2, 10)
            if told is not None:
                self._wanted, etag = told
                self._watched_until = time.monotonic() + self._wanted.watch_seconds
                self._changed.set()

    async def _converge(self) -> None:
        """After a failure it tries again by itself: soon when something was away, less and less often when a version was refused."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            soon, late = delays(0.5, 30), delays(10, 600)
            while not self._changed.is_set():
                try:
                    await self._attempt(self._wanted, online=True)
                    break
                except Refused:
                    pause = next(late)
                except (Away, OSError) as reason:
                    pause = next(soon)
                    log.warning("a version cannot be fetched now", extra=self._about(reason=str(reason), retry_in=round(pause, 2)))
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()

    async def _attempt(self, wanted: Wanted, *, online: bool) -> None:
        """Brings each slot to what is wanted, the champion first. Raises Refused or Away when a slot stays as it was.

        The policy changes together with the champion that it was made for: a champion that is kept keeps its policy.
        """
        champion = await self._pinned(wanted.champion, online)
        self._runner.idle = online and champion is None
        policy = wanted.policy.model_dump() if wanted.policy is not None else None
        if champion is not None:
            serving = await self._slot(self._runner.slots.champion, champion, online)
            self._swap(champion=serving, policy=policy)
            if online:
                await asyncio.to_thread(self._cache.remember, wanted.model_copy(update={"champion": champion}))
        challenger = wanted.challenger and await self._slot(self._runner.slots.challenger, wanted.challenger, online)
        challenger_policy = wanted.challenger_policy and wanted.challenger_policy.model_dump()
        self._swap(challenger=challenger, challenger_policy=challenger_policy, shadow_percent=wanted.shadow_percent)
        await asyncio.to_thread(self._cache.prune, self._folders())

    async def _slot(self, present: Slot | None, wanted: WantedVersion, online: bool) -> Slot:
        if present is not None and (present.version, present.artifact.sha256) == (wanted.version, wanted.sha256):
            return present
        try:
            found = await self._library.load(wanted, download=online)
        except Refused as refused:
            # A refusal is an answer, not a crash: the reason says all.
            log.error("a version is refused, what serves keeps serving", extra=self._about(version=wanted.version, reason=str(refused)))  # noqa: TRY400
            self._runner.refuse(wanted.version, str(refused))
            self._metrics.refused.inc()
            self._news.set()
            raise
        self._runner.accept(wanted.version)
        return found

    def _swap(self, **changes: Any) -> None:
        before = self._runner.slots
        after = replace(before, **changes)
        if after == before:
            return
        self._runner.slots = after
        if after.champion is not None and after.champion != before.champion:
            self._metrics.tallies.begin(after.champion.version)
        self._metrics.loaded(after)
        self._news.set()
        shown = {name: slot and slot.version for name, slot in (("champion", after.champion), ("challenger", after.challenger))}
        log.info("slots changed", extra=self._about(**shown, policy=after.policy and after.policy["version"]))

    async def _pinned(self, champion: WantedVersion | None, online: bool) -> WantedVersion | None:
        if self._pin is None or (champion is not None and champion.version == self._pin):
            return champion
        known = self._library.known(self._pin)
        if known is None and online:
            return await self._upstream.version(self._pin)
        return known

    def _folders(self) -> set[Path]:
        slots = self._runner.slots
        return {slot.artifact.folder for slot in (slots.champion, slots.challenger) if slot is not None}

    async def _report(self) -> None:
        """After each change, and now and then so that control knows that this runner lives."""
        pauses = delays(0.5, REPORT_SECONDS)
        while True:
            self._news.clear()
            self._runner.forget()
            watched = self._runner.slots.challenger is not None or time.monotonic() < self._watched_until
            pause: float = WATCHED_SECONDS if watched else REPORT_SECONDS
            try:
                await self._upstream.report(self._runner.document() | {"counts": self._metrics.tallies.document()})
                pauses = delays(0.5, REPORT_SECONDS)
            except Away:
                pause = next(pauses)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()

    def _about(self, **fields: Any) -> dict[str, Any]:
        return {"model": self._runner.model, **fields}
