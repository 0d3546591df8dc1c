"""Who is calling: verified once against the database, then remembered until something about it changes."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID

from services.gateway.access import Role
from services.gateway.auth import repository
from services.gateway.auth.tokens import KEY_START, AccessTokens, digest
from services.kit import postgres
from services.kit.errors import Unauthorized

REMEMBERED_SECONDS = 30
"""Verified again after this long at the latest, in case a notification was lost with its connection."""
MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Principal:
    username: str
    role: Role
    session: UUID | None
    """The log-in that an access token belongs to; None for an API key."""
    until: float


class Credentials:
    def __init__(self, pool: postgres.Pool, tokens: AccessTokens) -> None:
        self._pool = pool
        self._tokens = tokens
        self._known: dict[str, Principal] = {}
        self._asked: dict[tuple[str, int], asyncio.Task[Principal]] = {}
        self._changes = 0

    def known(self, token: str) -> Principal | None:
        """Without a question to the database: microseconds."""
        principal = self._known.get(token)
        return principal if principal is not None and principal.until > time.time() else None

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
        async with aclosing(postgres.listen(url, "gateway-listen", [repository.CHANNEL])) as notifications:  # type: ignore[type-var]
            async for notification in notifications:
                self.forget(notification.payload if notification else None)

    async def _of_key(self, token: str) -> Principal:
        async with self._pool.connection() as connection:
            holder = await repository.holder_of_key(connection, digest(token))
        if holder is None:
            raise Unauthorized("The API key is not valid: unknown, expired or revoked.")
        until = time.time() + REMEMBERED_SECONDS
        return Principal(holder.username, Role[holder.role], None, min(until, holder.expires_at.timestamp()) if holder.expires_at else until)

    async def _of_access_token(self, token: str) -> Principal:
        claims = self._tokens.read(token)
        async with self._pool.connection() as connection:
            role = await repository.role_in_session(connection, claims.username, claims.session)
        if role is None:
            raise Unauthorized("The session has ended: log in again.")
        return Principal(claims.username, Role[role], claims.session, min(claims.expires, time.time() + REMEMBERED_SECONDS))
