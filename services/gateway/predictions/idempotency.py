"""Idempotency-Key: however often a request is sent with the same key, it is recorded once, and told each time. docs/endpoints.md tells callers.

The key is stored in the transaction of the rows, so that there is never one without the other. All answers are written by one function, from values that the
audit keeps: that makes them equal to the byte. https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from hashlib import sha256
from typing import Any

import orjson
import psycopg
from pydantic import BaseModel
from starlette.types import Scope

from bentos.schemas import kinds
from services.gateway.predictions import repository, service
from services.gateway.predictions.contracts import Contract
from services.gateway.predictions.entries import KeyTaken
from services.gateway.predictions.hop import One
from services.gateway.predictions.repository import Kept
from services.gateway.predictions.rows import Key
from services.gateway.predictions.service import Asked, Recorded
from services.gateway.state import State
from services.kit.errors import BadRequest, GatewayTimeout, Invalid, Unavailable
from services.kit.postgres import Connection

HEADER = b"idempotency-key"
REPLAYED = (b"idempotency-replayed", b"true")
_WELL_FORMED = re.compile(rb"[\x21-\x7e]{1,128}")
PAUSES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Seconds between looks at what another request with the same key, which has not committed yet, will have done."""


def given(scope: Scope) -> str | None:
    """The header's value. Raises BadRequest."""
    found = [value for name, value in scope["headers"] if name == HEADER]
    if not found:
        return None
    if len(found) > 1 or not _WELL_FORMED.fullmatch(found[0]):
        rule = "one value of 1 to 128 visible ASCII characters"
        shown = b", ".join(found)[:128].decode("latin-1")
        raise BadRequest(f"Idempotency-Key must be {rule}.", errors=[{"field": "Idempotency-Key", "rule": rule, "value": shown}])
    return str(found[0].decode())


def key_of(username: str, value: str, *asked: bytes) -> Key:
    """`asked`: whatever makes it this request and no other, the body among it."""
    fingerprint = sha256()
    for part in asked:
        fingerprint.update(len(part).to_bytes(8, "big"))
        fingerprint.update(part)
    return Key(username, value, fingerprint.digest())


async def predict(state: State, contract: Contract, asked: Asked, key: Key, body: bytes) -> tuple[Recorded, bool]:
    """The prediction for one row, and whether it was made for an earlier request. Raises Invalid when that one asked for something else."""

    async def row() -> bytes:
        return contract.encode(contract.decode(body))

    return await once(state, contract, asked, key, row)


async def once(state: State, contract: Contract, asked: Asked, key: Key, made: Callable[[], Awaitable[bytes]]) -> tuple[Recorded, bool]:
    """As `predict`, for a row that is made, as Contract.encode makes it, only where nothing was answered with the key before."""
    state.journal.check(spools=False)
    kept = await find(state, key, asked.deadline)
    row = b""
    while kept is None:
        row = row or await made()
        try:
            recorded = await service.predict(state, contract, asked, row, key)
        except KeyTaken:
            kept = await of_another(state, key, asked.deadline)
        else:
            return recorded._replace(one=recorded.one._replace(answer=settled(contract, orjson.loads(recorded.one.answer)))), False
    return await _replayed(state, contract, kept, asked.deadline), True


async def find(state: State, key: Key, deadline: float) -> Kept | None:
    """What was answered with this key. Raises Invalid when something else was asked with it, Unavailable while nobody can know."""
    async with looking(state, deadline) as connection:
        kept = await repository.kept(connection, key.username, key.key)
    if kept is not None and kept.fingerprint != key.fingerprint:
        rule = "a key of its own for each request; only a repetition has the same"
        words = "This Idempotency-Key came with another request in the last 24 hours. Send a new one with a new request, the same request with an old one."
        raise Invalid(words, errors=[{"field": "Idempotency-Key", "rule": rule, "value": key.key}])
    return kept


async def of_another(state: State, key: Key, deadline: float) -> Kept | None:
    """Of a request that has taken the key a moment ago; None when it has given the key back, because it failed."""
    for pause in PAUSES:
        await asyncio.sleep(pause)
        if (kept := await find(state, key, deadline)) is not None:
            return kept
        if asyncio.get_running_loop().time() >= deadline:
            raise GatewayTimeout("Another request with this Idempotency-Key was not answered in time; try again with the same key.")
    return None


async def _replayed(state: State, contract: Contract, kept: Kept, deadline: float) -> Recorded:
    async with looking(state, deadline) as connection:
        row = await repository.one(connection, kept.prediction_id) if kept.prediction_id else None
    if row is None:
        raise Unavailable("The prediction that was made with this Idempotency-Key is not in the audit any more; send a new key.")
    answer = settled(contract, row["output"])
    return Recorded(row["id"].bytes, One(row["model_version"], row["policy_version"], row["score"], row["decision"], answer))


@asynccontextmanager
async def looking(state: State, deadline: float) -> AsyncIterator[Connection]:
    """A connection. Raises Unavailable when the database cannot be asked before the deadline."""
    try:
        async with asyncio.timeout_at(deadline), state.pool.connection() as connection:
            yield connection
    except (psycopg.OperationalError, TimeoutError):
        words = "The database does not answer, so nobody knows whether this Idempotency-Key was used before; try again with the same key."
        raise Unavailable(words, retry_after=2) from None


def settled(contract: Contract, output: dict[str, Any]) -> bytes:
    """The JSON of an output, the same whether it comes from the runner or from jsonb, which keeps values but not how they are written."""
    return orjson.dumps(in_order(contract, output))


def in_order(contract: Contract, output: dict[str, Any]) -> dict[str, Any]:
    """In the order of `Output`, and with floats where jsonb has made 1e22 an integer, or -0.0 a zero."""
    found = {name: _number(output[name]) if number else output[name] for name, number in _fields(contract.schema.Output) if name in output}
    return found if len(found) == len(output) else found | dict(sorted(output.items()))


def _number(value: Any) -> Any:
    return float(value) + 0.0 if isinstance(value, int | float) else [_number(item) for item in value] if isinstance(value, list) else value


@cache
def _fields(output: type[BaseModel]) -> tuple[tuple[str, bool], ...]:
    return tuple((name, kind == "number") for name, kind in kinds(output).items())
