"""The form of a segment: a header, then one record for each request whose rows were made durable here.

    segment   name, version │ record │ record │ …
    record    marker │ length of payload │ rows │ CRC-32 of payload │ CRC-32 of the four before │ payload
    payload   tuples of binary COPY, as rows.py makes them

The head of a record has a checksum of its own, so that a damaged length is never taken for a torn end. A record that is cut short was being written when
the process died: nobody was told that it is durable. Anything else that does not add up is damage, and what stands behind it is still found.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

VERSION = 1
BEGIN = struct.pack("<12sI", b"modelyard-sp", VERSION)
MARKER = b"\xf5row"
_FIELDS = struct.Struct("<4sIII")
_CHECK = struct.Struct("<I")
HEAD = _FIELDS.size + _CHECK.size


def encode(tuples: Sequence[bytes]) -> bytes:
    payload = b"".join(tuples)
    fields = _FIELDS.pack(MARKER, len(payload), len(tuples), zlib.crc32(payload))
    return b"".join((fields, _CHECK.pack(zlib.crc32(fields)), payload))


@dataclass(frozen=True, slots=True)
class Record:
    rows: int
    payload: bytes


@dataclass(slots=True)
class Contents:
    records: list[Record] = field(default_factory=list)
    torn: int = 0
    """Bytes at the end of a record that was never finished."""
    damaged: int = 0
    """Bytes that were durable once and can no longer be understood."""

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.records)


def decode(segment: bytes) -> Contents:
    """Every record whose checksums are right, in order. Raises nothing: what is wrong with the rest is counted."""
    found = Contents()
    position, size = len(BEGIN), len(segment)
    if _never_written(segment, 0) or (size < position and BEGIN.startswith(segment)):
        return Contents(torn=size)
    if not segment.startswith(BEGIN):
        found.damaged = min(size, position)
    while position < size:
        if size - position < HEAD or _never_written(segment, position):
            found.torn = size - position
            break
        if (head := _head(segment, position)) is None:
            following = _next(segment, position + 1)
            found.damaged += following - position
            position = following
            continue
        rows, length, check = head
        begin, end = position + HEAD, position + HEAD + length
        if end > size:
            found.torn = size - position
            break
        payload = segment[begin:end]
        if zlib.crc32(payload) == check:
            found.records.append(Record(rows, payload))
        else:
            found.damaged += end - position
        position = end
    return found


def _never_written(segment: bytes, position: int) -> bool:
    """After a power cut, a file system may have kept the new length of a file and not what was written there."""
    return not segment[position : position + HEAD].strip(b"\0") and not segment[position:].strip(b"\0")


def _head(segment: bytes, position: int) -> tuple[int, int, int] | None:
    fields = segment[position : position + _FIELDS.size]
    if len(segment) < position + HEAD or _CHECK.unpack_from(segment, position + _FIELDS.size) != (zlib.crc32(fields),):
        return None
    marker, length, rows, check = _FIELDS.unpack(fields)
    return (rows, length, check) if marker == MARKER else None


def _next(segment: bytes, position: int) -> int:
    """Where the next head stands, or the segment ends."""
    while (position := segment.find(MARKER, position)) >= 0:
        if _head(segment, position) is not None:
            return position
        position += 1
    return len(segment)
