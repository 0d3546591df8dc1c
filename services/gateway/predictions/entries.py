"""What the journal is given, and how it refuses."""

import asyncio
from dataclasses import dataclass, field

from services.gateway.predictions.rows import Key
from services.kit.errors import GatewayTimeout, Unavailable


class KeyTaken(Exception):
    """Another request has committed this Idempotency-Key; nothing of this one is stored."""


def away() -> Unavailable:
    return Unavailable("The audit's database is away, so no prediction is given; try again.", retry_after=2)


def spool_full() -> Unavailable:
    return Unavailable("The audit's database is away and its spool takes no more, so no prediction is given; try again.", retry_after=2)


def too_late() -> GatewayTimeout:
    return GatewayTimeout("The prediction could not be recorded before its deadline, so it is not given; try again.")


@dataclass(slots=True, eq=False)
class Entry:
    """The rows of one request: stored together or not at all."""

    rows: list[bytes]
    """In COPY's form, see rows.py."""
    deadline: float
    """In the event loop's time."""
    spools: bool
    """While the database is away the rows may go to the spool."""
    key: Key | None = None
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Resolves when the rows are durable, and at no other time. Raises Unavailable, GatewayTimeout, KeyTaken, or psycopg's DataError."""

    def resolve(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def refuse(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
