"""SQL of accounts, of sessions (families of refresh tokens: dead as soon as one of them is revoked) and of API keys.

Each change announces whose credentials it touches, so that every gateway forgets what it has verified.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from psycopg.rows import class_row

from services.gateway.access import Role
from services.kit.locks import AdvisoryLock
from services.kit.postgres import Connection

CHANNEL = "modelyard_auth"


@dataclass(frozen=True, slots=True)
class Account:
    username: str
    password_hash: str
    role: str
    active: bool
    created_at: datetime


async def account(connection: Connection, username: str) -> Account | None:
    async with connection.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute("SELECT username, password_hash, role, active, created_at FROM users WHERE username = %s", [username])
        return await cursor.fetchone()


async def accounts(connection: Connection, after: str, limit: int) -> list[Account]:
    async with connection.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT username, password_hash, role, active, created_at FROM users WHERE username > %s ORDER BY username LIMIT %s", [after, limit]
        )
        return await cursor.fetchall()


async def add(connection: Connection, username: str, password_hash: str, role: Role) -> datetime | None:
    """None when the name is taken."""
    statement = "INSERT INTO users (username, password_hash, role) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING RETURNING created_at"
    row = await (await connection.execute(statement, [username, password_hash, role.name])).fetchone()
    return row[0] if row else None


async def add_first(connection: Connection, username: str, password_hash: str) -> bool:
    """An administrator, unless there is any user; several gateways that start at once take turns."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", [AdvisoryLock.FIRST_ADMIN])
    statement = "INSERT INTO users (username, password_hash, role) SELECT %s, %s, 'admin' WHERE NOT EXISTS (SELECT FROM users)"
    return (await connection.execute(statement, [username, password_hash])).rowcount == 1


async def anybody(connection: Connection) -> bool:
    row = await (await connection.execute("SELECT EXISTS (SELECT FROM users)")).fetchone()
    return bool(row and row[0])


async def lock_administrators(connection: Connection) -> list[str]:
    """Active ones, held until the transaction ends, so that two cannot remove each other at once."""
    cursor = await connection.execute("SELECT username FROM users WHERE role = 'admin' AND active ORDER BY username FOR UPDATE")
    return [row[0] for row in await cursor.fetchall()]


async def set_password(connection: Connection, username: str, password_hash: str) -> None:
    await connection.execute("UPDATE users SET password_hash = %s, updated_at = now() WHERE username = %s", [password_hash, username])


async def set_role(connection: Connection, username: str, role: Role) -> None:
    await connection.execute("UPDATE users SET role = %s, updated_at = now() WHERE username = %s", [role.name, username])


async def set_active(connection: Connection, username: str, active: bool) -> None:
    await connection.execute("UPDATE users SET active = %s, updated_at = now() WHERE username = %s", [active, username])


async def remove(connection: Connection, username: str) -> None:
    """Sessions and keys go with it; predictions and events keep the name."""
    await connection.execute("DELETE FROM users WHERE username = %s", [username])


async def announce(connection: Connection, username: str) -> None:
    """Heard when the transaction commits."""
    await connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, username])


async def record(connection: Connection, actor: str, action: str, subject: str, **detail: Any) -> None:
    statement = "INSERT INTO admin_events (actor, action, subject, detail) VALUES (%s, %s, %s, %s)"
    await connection.execute(statement, [actor, action, subject, json.dumps(detail)])


@dataclass(frozen=True, slots=True)
class Used:
    family: UUID
    username: str


async def open_session(connection: Connection, token_hash: bytes, family: UUID, account: Account, days: int) -> bool:
    """A family of tokens begins. False when the account is no longer what was checked (password changed, shut out, removed)."""
    statement = """INSERT INTO refresh_tokens (token_hash, family, username, expires_at)
                   SELECT %s, %s, username, now() + make_interval(days => %s) FROM users WHERE username = %s AND password_hash = %s AND active"""
    return (await connection.execute(statement, [token_hash, family, days, account.username, account.password_hash])).rowcount == 1


async def add_token(connection: Connection, token_hash: bytes, used: Used, days: int) -> None:
    """The next token of a family."""
    statement = "INSERT INTO refresh_tokens (token_hash, family, username, expires_at) VALUES (%s, %s, %s, now() + make_interval(days => %s))"
    await connection.execute(statement, [token_hash, used.family, used.username, days])


async def use_token(connection: Connection, token_hash: bytes) -> Used | None:
    """Marks a live token as used, once; None for any other."""
    async with connection.cursor(row_factory=class_row(Used)) as cursor:
        await cursor.execute(
            """UPDATE refresh_tokens t SET used_at = now()
               WHERE token_hash = %s AND used_at IS NULL AND expires_at > now()
                 AND NOT EXISTS (SELECT FROM refresh_tokens r WHERE r.family = t.family AND r.revoked_at IS NOT NULL)
               RETURNING family, username""",
            [token_hash],
        )
        return await cursor.fetchone()


async def token_used_before(connection: Connection, token_hash: bytes) -> Used | None:
    """Whose token this was, when it was given back already: a second use means that it was stolen, before or after."""
    async with connection.cursor(row_factory=class_row(Used)) as cursor:
        await cursor.execute("SELECT family, username FROM refresh_tokens WHERE token_hash = %s AND used_at IS NOT NULL", [token_hash])
        return await cursor.fetchone()


async def revoke_session(connection: Connection, family: UUID) -> None:
    await connection.execute("UPDATE refresh_tokens SET revoked_at = now() WHERE family = %s AND revoked_at IS NULL", [family])


async def revoke_sessions(connection: Connection, username: str, but: UUID | None = None) -> None:
    """All sessions of a user, or all but the one that asks."""
    statement = "UPDATE refresh_tokens SET revoked_at = now() WHERE username = %s AND revoked_at IS NULL AND family IS DISTINCT FROM %s"
    await connection.execute(statement, [username, but])


async def role_in_session(connection: Connection, username: str, family: UUID) -> str | None:
    """The role that a session gives now; None when the session or the user is no longer there."""
    cursor = await connection.execute(
        """SELECT u.role FROM users u
           WHERE u.username = %(username)s AND u.active
             AND EXISTS (SELECT FROM refresh_tokens WHERE family = %(family)s AND username = %(username)s)
             AND NOT EXISTS (SELECT FROM refresh_tokens WHERE family = %(family)s AND revoked_at IS NOT NULL)""",
        {"username": username, "family": family},
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def forget_expired_sessions(connection: Connection) -> int:
    """Deletes families whose every token is long past its use."""
    cursor = await connection.execute(
        "DELETE FROM refresh_tokens t WHERE NOT EXISTS (SELECT FROM refresh_tokens r WHERE r.family = t.family AND r.expires_at > now() - interval '1 day')"
    )
    return cursor.rowcount


@dataclass(frozen=True, slots=True)
class Key:
    id: UUID
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


async def add_key(connection: Connection, key_id: UUID, username: str, name: str, prefix: str, key_hash: bytes, days: int | None) -> Key:
    async with connection.cursor(row_factory=class_row(Key)) as cursor:
        await cursor.execute(
            """INSERT INTO api_keys (id, username, name, prefix, key_hash, expires_at)
               VALUES (%s, %s, %s, %s, %s, now() + make_interval(days => %s))
               RETURNING id, name, prefix, created_at, expires_at, last_used_at""",
            [key_id, username, name, prefix, key_hash, days],
        )
        return cast(Key, await cursor.fetchone())


PRESET = "preset"


async def preset_key(connection: Connection, key_id: UUID, username: str, prefix: str, key_hash: bytes) -> bool:
    """Makes it the user's only key of that name. False when it was known before, be it that somebody has revoked it."""
    revoke = "UPDATE api_keys SET revoked_at = now() WHERE username = %s AND name = %s AND key_hash <> %s AND revoked_at IS NULL"
    await connection.execute(revoke, [username, PRESET, key_hash])
    insert = "INSERT INTO api_keys (id, username, name, prefix, key_hash) VALUES (%s, %s, %s, %s, %s) ON CONFLICT (key_hash) DO NOTHING"
    return (await connection.execute(insert, [key_id, username, PRESET, prefix, key_hash])).rowcount == 1


async def keys(connection: Connection, username: str, before: UUID | None, limit: int) -> list[Key]:
    """Those that still work, newest first."""
    async with connection.cursor(row_factory=class_row(Key)) as cursor:
        await cursor.execute(
            """SELECT id, name, prefix, created_at, expires_at, last_used_at FROM api_keys
               WHERE username = %(username)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
                   AND (%(before)s::uuid IS NULL OR id < %(before)s) ORDER BY id DESC LIMIT %(limit)s""",
            {"username": username, "before": before, "limit": limit},
        )
        return await cursor.fetchall()


async def revoke_key(connection: Connection, key_id: UUID, username: str) -> bool:
    statement = "UPDATE api_keys SET revoked_at = now() WHERE id = %s AND username = %s AND revoked_at IS NULL"
    return (await connection.execute(statement, [key_id, username])).rowcount == 1


@dataclass(frozen=True, slots=True)
class KeyHolder:
    id: UUID
    username: str
    role: str
    expires_at: datetime | None


async def holder_of_key(connection: Connection, key_hash: bytes) -> KeyHolder | None:
    """Whose live key this is. Notes the use, at most once a minute."""
    async with connection.cursor(row_factory=class_row(KeyHolder)) as cursor:
        await cursor.execute(
            """SELECT k.id, u.username, u.role, k.expires_at FROM api_keys k JOIN users u USING (username)
               WHERE k.key_hash = %s AND u.active AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())""",
            [key_hash],
        )
        holder = await cursor.fetchone()
    if holder is not None:
        statement = "UPDATE api_keys SET last_used_at = now() WHERE id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')"
        await connection.execute(statement, [holder.id])
    return holder
