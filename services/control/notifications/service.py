"""Sends what stands in the outbox. Of several controls one does; at least once, each time under the same delivery id."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from services.control import metrics
from services.control.leader import within
from services.control.notifications.channels.sending import Later, Never, Sender
from services.control.notifications.configuration import Configuration
from services.control.notifications.repository import NotificationsRepository, Row
from services.control.notifications.schemas import Message, Tests, Tried
from services.kit.errors import FieldError, Invalid

log = logging.getLogger(__name__)

GIVE_UP_SECONDS = 86_400.0
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 3600.0
"""Between two attempts: twice the one before, give or take a quarter."""
LONGEST_WAIT = 30.0


class Notifier:
    def __init__(self, repository: NotificationsRepository, configuration: Configuration, senders: Mapping[str, Sender]) -> None:
        self.repository = repository
        self._channels = configuration.channels
        self._senders = senders
        self._quiet: dict[str, float] = {}
        """Until when a channel wants to be left alone, in time.monotonic."""

    async def run(self, news: asyncio.Event) -> None:
        """Without end. A slow channel holds up no other. Raises psycopg.Error."""
        await self.repository.give_up_others(self._senders)
        async with asyncio.TaskGroup() as group:
            rings = {name: asyncio.Event() for name in self._senders}
            for name, ring in rings.items():
                group.create_task(self._serve(name, ring))
            while True:
                while await self.repository.plan(self._wanted):
                    for ring in rings.values():
                        ring.set()
                waiting = await self.repository.waiting()
                for name in self._senders:
                    metrics.NOTIFICATIONS_WAITING.labels(name).set(waiting.get(name, 0))
                await within(LONGEST_WAIT, news)

    def _wanted(self, event: str, model: str, level: str) -> Iterable[str]:
        return [name for name, channel in self._channels.items() if channel.wants(event, model, level)]

    async def _serve(self, name: str, ring: asyncio.Event) -> None:
        while True:
            pause = self._quiet.get(name, 0.0) - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            rows = await self.repository.due(name)
            for row in rows:
                if not await self._deliver(name, row):
                    break
            else:
                if not rows:
                    due = await self.repository.seconds_to_next([name])
                    await within(min(LONGEST_WAIT, LONGEST_WAIT if due is None else due), ring)

    async def _deliver(self, name: str, row: Row) -> bool:
        """False when the channel is better left alone for a moment."""
        message = message_of(row, name)
        extra = {"channel": name, "event": message.event, "model": message.model, "delivery": message.delivery}
        try:
            quiet = await self._senders[name].send(message)
        except Never as error:
            return await self._gave_up(name, row, str(error), extra)
        except Later as error:
            age = (datetime.now(UTC) - row["created_at"]).total_seconds()
            pause = error.seconds if error.seconds is not None else backoff(row["attempts"])
            if age + pause > GIVE_UP_SECONDS:
                return await self._gave_up(name, row, str(error), extra)
            metrics.NOTIFICATIONS.labels(name, "later").inc()
            log.warning("a notification is sent later", extra=extra | {"error": str(error), "seconds": round(pause, 1)})
            await self.repository.later(row["id"], name, pause, str(error))
            self._quiet[name] = time.monotonic() + (pause if error.seconds is not None else min(pause, LONGEST_WAIT))
            return False
        await self.repository.sent(row["id"], name)
        metrics.NOTIFICATIONS.labels(name, "sent").inc()
        log.info("a notification was sent", extra=extra)
        self._quiet[name] = time.monotonic() + quiet
        return quiet == 0

    async def _gave_up(self, name: str, row: Row, error: str, extra: dict[str, str]) -> bool:
        metrics.NOTIFICATIONS.labels(name, "failed").inc()
        log.error("a notification is not sent", extra=extra | {"error": error})
        await self.repository.give_up(row["id"], name, error)
        return True

    async def test(self, channel: str | None, actor: str) -> Tests:
        """Sends at once, past the outbox. Raises Invalid for a channel that there is not."""
        if channel is not None and channel not in self._senders:
            rule = f"must be one of {', '.join(self._senders)}" if self._senders else "names none: CONTROL_NOTIFICATIONS has no channels"
            raise Invalid(f"There is no channel {channel}.", errors=[FieldError(field="channel", rule=rule, value=channel)])
        return Tests(channels=[await self._try(name, actor) for name in ([channel] if channel else self._senders)])

    async def _try(self, name: str, actor: str) -> Tried:
        words = f"{actor} asked whether notifications arrive here. They do."
        document = {"level": "info", "title": "Modelyard: a test", "words": words, "fields": {"channel": name}}
        row = {"key": f"test {time.time_ns()}", "event": "test", "model": "-", "document": document, "created_at": datetime.now(UTC)}
        began, error = time.monotonic(), None
        try:
            await self._senders[name].send(message_of(row, name))
        except (Later, Never) as failure:
            error = str(failure)
        return Tried(channel=name, kind=self._senders[name].kind, sent=error is None, error=error, seconds=round(time.monotonic() - began, 3))


def message_of(row: Row, channel: str) -> Message:
    delivery = hashlib.sha256(f"{row['key']}\n{channel}".encode()).hexdigest()[:32]
    return Message(delivery=delivery, event=row["event"], model=row["model"], at=row["created_at"], **row["document"])


def backoff(attempts: int) -> float:
    return min(FIRST_PAUSE * 2.0 ** min(attempts, 20), LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
