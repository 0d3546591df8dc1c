"""Argon2, kept off the event loop and bounded: each check takes tens of milliseconds and 64 MiB."""

import secrets

import anyio
from anyio import to_thread
from pwdlib import PasswordHash

from services.kit.errors import Unavailable

AT_ONCE = 2
MOST_WAITING = 50


class Passwords:
    def __init__(self, hasher: PasswordHash | None = None) -> None:
        self._hasher = hasher or PasswordHash.recommended()
        self._limiter = anyio.CapacityLimiter(AT_ONCE)
        self._dummy = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        return await to_thread.run_sync(self._hasher.hash, password, limiter=self._limiter)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Without a hash (no such user) it takes as long as with one, so that timing doesn't tell who exists."""
        if self._limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise Unavailable("Too many people are logging in; try again in a moment.", retry_after=2)
        right = await to_thread.run_sync(self._hasher.verify, password, hashed or self._dummy, limiter=self._limiter)
        return right and hashed is not None
