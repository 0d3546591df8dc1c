"""One row of the audit in the form that PostgreSQL's binary COPY takes: made once, written to the table or to the spool as it is.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a tuple is the number of its fields (int16), then each field's length (int32, -1
for NULL) and bytes. A jsonb field is the byte 1 and the JSON text.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

COLUMNS = (
    *("id", "created_at", "row_number", "score", "latency_ms", "decision", "input", "output"),
    *("model", "model_version", "policy_version", "username", "request_id", "batch_id"),
)
_NULL = b"\xff\xff\xff\xff"
_EPOCH_MS = 946_684_800_000
"""PostgreSQL counts microseconds from 2000-01-01 UTC."""
_BEGIN = struct.Struct("!hi16siq")
_INT, _FLOAT8, _FLOAT4 = struct.Struct("!ii"), struct.Struct("!id"), struct.Struct("!if")
_SHORT, _LENGTH = struct.Struct("!h"), struct.Struct("!i")
_JSONB = struct.Struct("!ib")


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def _integer(value: int | None) -> bytes:
    return _NULL if value is None else _INT.pack(4, value)


def common(model: str, version: str, policy: int | None, username: str, request_id: str, batch_id: bytes | None = None) -> bytes:
    """The fields that all rows of one request share."""
    batch = _NULL if batch_id is None else _LENGTH.pack(16) + batch_id
    return b"".join((_text(model), _text(version), _integer(policy), _text(username), _text(request_id), batch))


def encode(
    identifier: bytes, shared: bytes, row: bytes, output: bytes, score: float | None, decision: str | None, latency_ms: float, number: int | None = None
) -> bytes:
    """`identifier` is a UUIDv7's 16 bytes, whose first six are the row's time in milliseconds; `row` and `output` are JSON texts."""
    moment = (int.from_bytes(identifier[:6], "big") - _EPOCH_MS) * 1000
    return b"".join(
        (
            _BEGIN.pack(len(COLUMNS), 16, identifier, 8, moment),
            _integer(number),
            _NULL if score is None else _FLOAT8.pack(8, score),
            _FLOAT4.pack(4, latency_ms),
            _text(decision),
            _JSONB.pack(len(row) + 1, 1),
            row,
            _JSONB.pack(len(output) + 1, 1),
            output,
            shared,
        )
    )


def identifier_of(encoded: bytes) -> bytes:
    return encoded[6:22]


def values_of(encoded: bytes) -> list[bytes | None]:
    """The fields as a statement's parameters in binary form."""
    values: list[bytes | None] = []
    at = _SHORT.size
    for _ in COLUMNS:
        (length,) = _LENGTH.unpack_from(encoded, at)
        at += _LENGTH.size
        values.append(None if length < 0 else encoded[at : at + length])
        at += max(0, length)
    return values


def split(joined: bytes) -> Iterator[bytes]:
    """The tuples that were joined. Raises struct.error when they are not whole."""
    begin = 0
    while begin < len(joined):
        end = begin + _SHORT.size
        for _ in range(*_SHORT.unpack_from(joined, begin)):
            end += _LENGTH.size + max(0, *_LENGTH.unpack_from(joined, end))
        yield joined[begin:end]
        begin = end


@dataclass(frozen=True, slots=True)
class Key:
    """An Idempotency-Key as the database knows it."""

    username: str
    key: str
    fingerprint: bytes
    """SHA-256 of what was asked: route, model and body. The same key with another one is a mistake of the caller."""
