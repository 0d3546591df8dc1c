"""Sessions: log-in, refresh, log-out, and what a user does to the own account."""

import logging
from uuid import UUID, uuid4

from services.gateway.access import Role
from services.gateway.auth import repository, schemas
from services.gateway.auth.credentials import Credentials, Principal
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.tokens import AccessTokens, digest, new_api_key, new_refresh_token
from services.kit.errors import Conflict, NotFound, Unauthorized
from services.kit.ids import uuid7
from services.kit.postgres import Pool

log = logging.getLogger(__name__)


class Sessions:
    def __init__(self, pool: Pool, passwords: Passwords, tokens: AccessTokens, credentials: Credentials, refresh_days: int) -> None:
        self._pool = pool
        self._passwords = passwords
        self._tokens = tokens
        self._credentials = credentials
        self._days = refresh_days

    async def log_in(self, username: str, password: str) -> schemas.Tokens:
        """Raises Unauthorized, in the same words and time whatever was wrong."""
        async with self._pool.connection() as connection:
            account = await repository.account(connection, username)
        right = await self._passwords.verify(password, account.password_hash if account else None)
        if account is not None and right:
            refresh, family = new_refresh_token(), uuid4()
            async with self._pool.connection() as connection:
                if await repository.open_session(connection, digest(refresh), family, account, self._days):
                    return self._answer(account.username, account.role, family, refresh)
        raise Unauthorized("User name or password is wrong, or the account is closed.")

    async def refresh(self, token: str) -> schemas.Tokens:
        """A new pair for a refresh token, which works once: a second use ends the whole session, for the thief and for the owner."""
        fresh = new_refresh_token()
        async with self._pool.connection() as connection:
            used = await repository.use_token(connection, digest(token))
            if used is not None:
                role = await repository.role_in_session(connection, used.username, used.family)
                if role is not None:
                    await repository.add_token(connection, digest(fresh), used, self._days)
                    return self._answer(used.username, role, used.family, fresh)
            stolen = None if used else await repository.token_used_before(connection, digest(token))
            if stolen is not None:
                await repository.revoke_session(connection, stolen.family)
                await repository.record(connection, stolen.username, "refresh token used twice", stolen.username, session=str(stolen.family))
                await repository.announce(connection, stolen.username)
        if stolen is not None:
            self._credentials.forget(stolen.username)
            log.warning("refresh token used twice, session ended", extra={"username": stolen.username})
        raise Unauthorized("The refresh token is not valid: log in again.")

    async def log_out(self, principal: Principal) -> None:
        if principal.session is None:
            raise Conflict("An API key has no session to end: revoke it with DELETE /auth/api-keys/{id}.")
        async with self._pool.connection() as connection:
            await repository.revoke_session(connection, principal.session)
            await repository.announce(connection, principal.username)
        self._credentials.forget(principal.username)

    async def change_password(self, principal: Principal, current: str, new: str) -> None:
        """Ends the user's other sessions; API keys stay."""
        async with self._pool.connection() as connection:
            account = await repository.account(connection, principal.username)
        if not await self._passwords.verify(current, account.password_hash if account else None):
            raise Conflict("The current password is wrong.")
        hashed = await self._passwords.hash(new)
        async with self._pool.connection() as connection:
            await repository.set_password(connection, principal.username, hashed)
            await repository.revoke_sessions(connection, principal.username, but=principal.session)
            await repository.record(connection, principal.username, "password changed", principal.username)
            await repository.announce(connection, principal.username)
        self._credentials.forget(principal.username)

    async def keys(self, principal: Principal, before: UUID | None, limit: int) -> tuple[list[repository.Key], UUID | None]:
        """A page, and the cursor of the next one."""
        async with self._pool.connection() as connection:
            found = await repository.keys(connection, principal.username, before, limit + 1)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def add_key(self, principal: Principal, wanted: schemas.NewApiKey) -> tuple[repository.Key, str]:
        """The key's record and the key itself, which is not kept."""
        key, prefix = new_api_key()
        async with self._pool.connection() as connection:
            made = await repository.add_key(connection, uuid7(), principal.username, wanted.name, prefix, digest(key), wanted.expires_in_days)
            await repository.record(connection, principal.username, "API key made", principal.username, prefix=prefix, name=wanted.name)
        return made, key

    async def revoke_key(self, principal: Principal, key_id: UUID) -> None:
        async with self._pool.connection() as connection:
            if not await repository.revoke_key(connection, key_id, principal.username):
                raise NotFound(f"You have no API key {key_id}.")
            await repository.record(connection, principal.username, "API key revoked", principal.username, id=str(key_id))
            await repository.announce(connection, principal.username)
        self._credentials.forget(principal.username)

    def _answer(self, username: str, role: str, family: UUID, refresh: str) -> schemas.Tokens:
        known = Role[role]
        access = self._tokens.issue(username, known, family)
        return schemas.Tokens(access_token=access, refresh_token=refresh, expires_in=self._tokens.seconds, username=username, role=known.name)
