"""Who is calling: verified once against the database, then remembered until something about it changes."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

import psycopg

from services.gateway.access import Role
from services.gateway.auth import repository
from services.gateway.auth.tokens import KEY_START, AccessTokens, digest
from services.kit import postgres
from services.kit.errors import Unauthorized

KEY_SECONDS = 60
"""An API key is verified again after this long, which notes that it is in use; an access token, when it expires. What is revoked is forgotten at once."""
DEAF_SECONDS = 120
"""So long after the connection that hears of revocations was lost, what was verified before still counts: an outage of the database, in which nobody can
revoke anything, does not stop predictions that go to the spool. Whoever reconnects doubts everything first: it counts again when the database has confirmed
it, or cannot be asked."""
MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Principal:
    username: str
    role: Role
    session: UUID | None
    """The log-in that an access token belongs to; None for an API key."""
    until: float
    """UNIX seconds; infinite for a key that does not expire."""
    again: float
    """When it is to be verified again if the database can be asked."""


class Credentials:
    def __init__(self, pool: postgres.Pool, tokens: AccessTokens, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._tokens = tokens
        self._known: dict[str, Principal] = {}
        self._doubted: dict[str, tuple[Principal, float]] = {}
        """Verified before a connection was lost, at the clock's time beside it, and not asked for since."""
        self._asked: dict[tuple[str, int], asyncio.Task[Principal]] = {}
        self._changes = 0
        self._clock = clock
        self._deaf_since: float | None = clock()

    def known(self, token: str) -> Principal | None:
        """Without a question to the database: microseconds."""
        principal = self._known.get(token)
        if self._deaf_since is None:
            return principal if principal is not None and principal.again > time.time() else None
        return self._meanwhile(token)

    def _meanwhile(self, token: str) -> Principal | None:
        """What counts while the database cannot be asked."""
        principal, since = self._known.get(token), self._deaf_since
        if principal is None or since is None:
            principal, since = self._doubted.get(token, (None, 0.0))
        return principal if principal is not None and principal.until > time.time() and self._clock() - since < DEAF_SECONDS else None

    async def verify(self, token: str) -> Principal:
        """Raises Unauthorized. However many requests come with the same token at once, the database is asked once."""
        question = (token, self._changes)
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.create_task(self._verify(token, self._changes))
            task.add_done_callback(lambda _: self._asked.pop(question))
        return await asyncio.shield(task)

    async def _verify(self, token: str, changes: int) -> Principal:
        try:
            principal = await (self._of_key(token) if token.startswith(KEY_START) else self._of_access_token(token))
        except psycopg.OperationalError:
            if (known := self._meanwhile(token)) is None:
                raise
            return known
        # Not remembered when anything was revoked while the database was being asked: the answer may be older than that.
        if changes == self._changes:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[token] = principal
            self._doubted.pop(token, None)
        return principal

    def forget(self, username: str) -> None:
        """Everything verified for that user."""
        self._changes += 1
        self._known = {token: principal for token, principal in self._known.items() if principal.username != username}
        self._doubted = {token: doubted for token, doubted in self._doubted.items() if doubted[0].username != username}

    def _doubt(self) -> None:
        """Of everybody something may have been revoked while nobody listened."""
        now = self._clock()
        since = now if self._deaf_since is None else self._deaf_since
        self._changes += 1
        kept = {token: doubted for token, doubted in self._doubted.items() if now - doubted[1] < DEAF_SECONDS}
        kept |= {token: (principal, since) for token, principal in self._known.items()}
        self._doubted = dict(list(kept.items())[-MOST_REMEMBERED:])
        self._known.clear()
        self._deaf_since = None

    async def listen(self, url: str) -> None:
        """Hears, without end, what other processes changed."""
        async with aclosing(postgres.listen(url, "gateway-listen", [repository.CHANNEL], self._lost)) as notifications:  # type: ignore[type-var]
            async for notification in notifications:
                if notification is None:
                    self._doubt()
                else:
                    self.forget(notification.payload)

    def _lost(self) -> None:
        if self._deaf_since is None:
            self._deaf_since = self._clock()

    async def _of_key(self, token: str) -> Principal:
        async with self._pool.connection() as connection:
            holder = await repository.holder_of_key(connection, digest(token))
        if holder is None:
            raise Unauthorized("The API key is not valid: unknown, expired or revoked.")
        until = holder.expires_at.timestamp() if holder.expires_at else math.inf
        return Principal(holder.username, Role[holder.role], None, until, min(until, time.time() + KEY_SECONDS))

    async def _of_access_token(self, token: str) -> Principal:
        claims = self._tokens.read(token)
        async with self._pool.connection() as connection:
            role = await repository.role_in_session(connection, claims.username, claims.session)
        if role is None:
            raise Unauthorized("The session has ended: log in again.")
        return Principal(claims.username, Role[role], claims.session, claims.expires, claims.expires)
