"""The outbox. Whoever changes something writes in the same transaction what people are to be told of it, so that neither is there without the other."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, LiteralString

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from services.control.notifications.schemas import Notification
from services.kit.postgres import Connection, Pool

CHANNEL: LiteralString = "modelyard_notifications"
MOST_AN_HOUR = 20
"""Of one event of one model; what is more becomes one notification `storm`."""

EMIT: LiteralString = """
INSERT INTO notifications (key, event, model, document)
SELECT %(key)s, %(event)s, %(model)s, %(document)s
WHERE (
    SELECT count(*) FROM notifications WHERE model = %(model)s AND event = %(event)s AND created_at > clock_timestamp() - interval '1 hour'
) < %(most)s
ON CONFLICT (key) DO NOTHING
"""

KNOWN: LiteralString = "SELECT FROM notifications WHERE key = %(key)s"

STORM: LiteralString = """
INSERT INTO notifications (key, event, model, document)
VALUES (%(event)s || ' storm of ' || %(model)s || ' ' || to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24'), 'storm', %(model)s, %(document)s)
ON CONFLICT (key) DO NOTHING
"""

UNPLANNED: LiteralString = """
SELECT id, event, model, document ->> 'level' AS level FROM notifications WHERE NOT planned ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
"""

PLAN: LiteralString = """
INSERT INTO deliveries (notification_id, channel) SELECT * FROM unnest(%s::bigint[], %s::text[]) ON CONFLICT DO NOTHING
"""

PLANNED: LiteralString = "UPDATE notifications SET planned = true WHERE id = ANY(%s)"

DUE: LiteralString = """
SELECT n.id, n.key, n.event, n.model, n.document, n.created_at, d.attempts
FROM deliveries d JOIN notifications n ON n.id = d.notification_id
WHERE d.channel = %s AND d.status = 'waiting' AND d.next_at <= clock_timestamp() ORDER BY n.id LIMIT 50
"""

NEXT: LiteralString = """
SELECT extract(epoch FROM min(next_at) - clock_timestamp())::float8 FROM deliveries WHERE status = 'waiting' AND channel = ANY(%s)
"""

SENT: LiteralString = """
UPDATE deliveries SET status = 'sent', attempts = attempts + 1, sent_at = clock_timestamp(), error = NULL
WHERE notification_id = %s AND channel = %s AND status = 'waiting'
"""

LATER: LiteralString = """
UPDATE deliveries SET attempts = attempts + 1, next_at = clock_timestamp() + make_interval(secs => %s), error = %s
WHERE notification_id = %s AND channel = %s AND status = 'waiting'
"""

GIVEN_UP: LiteralString = """
UPDATE deliveries SET status = 'failed', attempts = attempts + 1, error = %s WHERE notification_id = %s AND channel = %s AND status = 'waiting'
"""

ORPHANED: LiteralString = """
UPDATE deliveries SET status = 'failed', error = 'the channel is not configured any more' WHERE status = 'waiting' AND NOT channel = ANY(%s)
"""

WAITING: LiteralString = "SELECT channel, count(*) FROM deliveries WHERE status = 'waiting' GROUP BY channel"

PAGE: LiteralString = """
SELECT n.id, n.event, n.model, n.created_at, n.document ->> 'level' AS level, n.document ->> 'title' AS title, n.document ->> 'words' AS words,
    n.document -> 'fields' AS fields, coalesce(d.deliveries, '[]') AS deliveries
FROM notifications n LEFT JOIN LATERAL (
    SELECT jsonb_agg(to_jsonb(one) - 'notification_id' ORDER BY channel) AS deliveries FROM deliveries one WHERE notification_id = n.id
) d ON true
WHERE n.id < %(before)s AND (%(model)s::text IS NULL OR n.model = %(model)s) ORDER BY n.id DESC LIMIT %(limit)s
"""

Row = dict[str, Any]


async def emit(connection: Connection, event: str, *, key: str, model: str, title: str, words: str, fields: dict[str, str], level: str = "info") -> None:
    """Once for a key; `event` and `level` are those of schemas.py.

    Sent soon after the connection's transaction is committed, by whichever control sends; never when it is rolled back.
    """
    values = {"key": key, "event": event, "model": model, "most": MOST_AN_HOUR}
    values["document"] = Jsonb({"title": title, "words": words, "fields": fields, "level": level})
    if (await connection.execute(EMIT, values)).rowcount:
        return
    if (await connection.execute(KNOWN, values)).rowcount:
        return
    about = f"More than {MOST_AN_HOUR} notifications within an hour: {event} of {model}"
    storm = {"title": about, "words": "Further ones are not sent for a while. What happened stands where it always does.", "fields": {}, "level": "warning"}
    await connection.execute(STORM, {"event": event, "model": model, "document": Jsonb(storm)})


class NotificationsRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def plan(self, choose: Callable[[str, str, str], Iterable[str]]) -> int:
        """Makes a delivery for each channel that `choose(event, model, level)` names. Returns how many notifications were looked at."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = await (await cursor.execute(UNPLANNED)).fetchall()
            pairs = [(row["id"], channel) for row in rows for channel in choose(row["event"], row["model"], row["level"])]
            await cursor.execute(PLAN, ([pair[0] for pair in pairs], [pair[1] for pair in pairs]))
            await cursor.execute(PLANNED, ([row["id"] for row in rows],))
        return len(rows)

    async def due(self, channel: str) -> list[Row]:
        """Oldest first."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(DUE, (channel,))).fetchall()

    async def seconds_to_next(self, channels: Sequence[str]) -> float | None:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(NEXT, (list(channels),))).fetchone()
        return row[0] if row else None

    async def sent(self, notification: int, channel: str) -> None:
        await self._execute(SENT, (notification, channel))

    async def later(self, notification: int, channel: str, seconds: float, error: str) -> None:
        await self._execute(LATER, (seconds, error, notification, channel))

    async def give_up(self, notification: int, channel: str, error: str) -> None:
        await self._execute(GIVEN_UP, (error, notification, channel))

    async def give_up_others(self, channels: Iterable[str]) -> None:
        """What waits for a channel that is not there any more."""
        await self._execute(ORPHANED, (list(channels),))

    async def waiting(self) -> dict[str, int]:
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(WAITING)).fetchall()
        return {str(row[0]): int(row[1]) for row in rows}

    async def page(self, limit: int, before: int, model: str | None) -> list[Notification]:
        """Newest first, those with an id below `before`."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Notification)) as cursor:
            return await (await cursor.execute(PAGE, {"limit": limit, "before": before, "model": model})).fetchall()

    async def _execute(self, query: LiteralString, values: tuple[object, ...]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(query, values)
