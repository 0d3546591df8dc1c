"""What administrators do to accounts. The last of them can be neither removed, nor demoted, nor shut out."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.gateway.access import Role
from services.gateway.auth import repository
from services.gateway.auth.credentials import Credentials
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.tokens import digest
from services.kit.errors import Conflict, NotFound
from services.kit.ids import uuid7
from services.kit.postgres import Connection, Pool

log = logging.getLogger(__name__)

PIPELINE = "pipeline"


class Administration:
    def __init__(self, pool: Pool, passwords: Passwords, credentials: Credentials) -> None:
        self._pool = pool
        self._passwords = passwords
        self._credentials = credentials

    async def bootstrap(self, username: str, password: str | None) -> None:
        """The first administrator, when there is nobody."""
        async with self._pool.connection() as connection:
            if await repository.anybody(connection):
                return
        if password is None:
            log.warning("there are no users and GATEWAY_BOOTSTRAP_PASSWORD is not set: nobody can log in")
            return
        hashed = await self._passwords.hash(password)
        async with self._pool.connection() as connection:
            if await repository.add_first(connection, username, hashed):
                await repository.record(connection, "bootstrap", "user added", username, role="admin")
                log.info("the first administrator was made", extra={"username": username})

    async def pipeline(self, key: str) -> None:
        """The account of workflows, once there is an administrator: an analyst with this preset key and no other. Nobody knows its password."""
        async with self._pool.connection() as connection:
            if not await repository.anybody(connection):
                return
            if await repository.account(connection, PIPELINE) is None:
                hashed = await self._passwords.hash(secrets.token_urlsafe())
                if await repository.add(connection, PIPELINE, hashed, Role.analyst):
                    await repository.record(connection, "bootstrap", "user added", PIPELINE, role=Role.analyst.name)
            if await repository.preset_key(connection, uuid7(), PIPELINE, PIPELINE, digest(key)):
                await repository.record(connection, "bootstrap", "API key made", PIPELINE, name=repository.PRESET)
                await repository.announce(connection, PIPELINE)

    async def add(self, actor: str, username: str, password: str, role: Role) -> repository.Account:
        hashed = await self._passwords.hash(password)
        async with self._pool.connection() as connection:
            created_at = await repository.add(connection, username, hashed, role)
            if created_at is None:
                raise Conflict(f"There is a user {username} already.")
            await repository.record(connection, actor, "user added", username, role=role.name)
        return repository.Account(username, hashed, role.name, True, created_at)

    async def page(self, after: str, limit: int) -> tuple[list[repository.Account], str | None]:
        async with self._pool.connection() as connection:
            found = await repository.accounts(connection, after, limit + 1)
        return found[:limit], found[limit - 1].username if len(found) > limit else None

    async def one(self, username: str) -> repository.Account:
        async with self._pool.connection() as connection:
            return await self._account(connection, username)

    async def set_role(self, actor: str, username: str, role: Role) -> repository.Account:
        async with self._change(username, leaves=role is not Role.admin) as (connection, account):
            await repository.set_role(connection, username, role)
            await repository.record(connection, actor, "role changed", username, before=account.role, after=role.name)
        return await self.one(username)

    async def set_active(self, actor: str, username: str, active: bool) -> repository.Account:
        async with self._change(username, leaves=not active) as (connection, _):
            await repository.set_active(connection, username, active)
            if not active:
                await repository.revoke_sessions(connection, username)
            await repository.record(connection, actor, "let in" if active else "shut out", username)
        return await self.one(username)

    async def remove(self, actor: str, username: str) -> None:
        async with self._change(username, leaves=True) as (connection, account):
            await repository.remove(connection, username)
            await repository.record(connection, actor, "user removed", username, role=account.role)

    @asynccontextmanager
    async def _change(self, username: str, *, leaves: bool) -> AsyncIterator[tuple[Connection, repository.Account]]:
        """One transaction around a change of an account; `leaves` says that the user is no administrator after it."""
        async with self._pool.connection() as connection:
            administrators = await repository.lock_administrators(connection)
            account = await self._account(connection, username)
            if leaves and administrators == [username]:
                raise Conflict(f"{username} is the last administrator: make another one first.")
            yield connection, account
            await repository.announce(connection, username)
        self._credentials.forget(username)

    async def _account(self, connection: Connection, username: str) -> repository.Account:
        account = await repository.account(connection, username)
        if account is None:
            raise NotFound(f"There is no user {username}.")
        return account
