"""Who is calling: verified once against the database, then remembered until something about it changes."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from services.gateway.access import Role
from services.gateway.auth import repository
from services.gateway.auth.tokens import KEY_START, AccessTokens, digest
from services.kit import postgres
from services.kit.errors import Unauthorized

KEY_SECONDS = 60
"""An API key is verified again after this long, which notes that it is in use; an access token, when it expires. What is revoked is forgotten at once."""
DEAF_SECONDS = 120
"""So long after the connection that hears of revocations was lost, what was verified before still counts: an outage of the database, in which nobody can
revoke anything, does not stop predictions that go to the spool. Whoever reconnects forgets everything first."""
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
        self._asked: dict[tuple[str, int], asyncio.Task[Principal]] = {}
        self._changes = 0
        self._clock = clock
        self._deaf_since: float | None = clock()

    def known(self, token: str) -> Principal | None:
        """Without a question to the database: microseconds."""
        principal = self._known.get(token)
        if principal is None:
            return None
        if self._deaf_since is None:
            return principal if principal.again > time.time() else None
        return principal if principal.until > time.time() and self._clock() - self._deaf_since < DEAF_SECONDS else None

    async def verify(self, token: str) -> Principal:
        """Raises Unauthorized. However many requests come with the same token at once, the database is asked once."""
        question = (token, self._changes)
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.create_task(self._verify(token, self._changes))
            task.add_done_callback(lambda _: self._asked.pop(question))
        return await asyncio.shield(task)

    async def _verify(self, token: str, changes: int) -> Principal:
        principal = await (self._of_key(token) if token.startswith(KEY_START) else self._of_access_token(token))
        # Not remembered when anything was revoked while the database was being asked: the answer may be older than that.
        if changes == self._changes:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[token] = principal
        return principal

    def forget(self, username: str | None) -> None:
        """Everything verified for that user, or for everybody."""
        self._changes += 1
        if username is None:
            self._known.clear()
        else:
            self._known = {token: principal for token, principal in self._known.items() if principal.username != username}

    async def listen(self, url: str) -> None:
        """Hears, without end, what other processes changed."""
        async with aclosing(postgres.listen(url, "gateway-listen", [repository.CHANNEL], self._lost)) as notifications:  # type: ignore[type-var]
            async for notification in notifications:
                self._deaf_since = None
                self.forget(notification.payload if notification else None)

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
