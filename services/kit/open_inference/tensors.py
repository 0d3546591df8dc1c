"""Flat, row-major values of a tensor in its two forms: in JSON, and as little-endian bytes without padding.

In bytes a BOOL takes one, and a BYTES element stands behind its length as an unsigned 32-bit number. In Python a missing value is `None`.
"""

import struct
from collections.abc import Callable, Sequence
from math import prod
from types import NoneType
from typing import Any, Literal

Datatype = Literal["BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64", "BYTES"]

FORMATS: dict[str, str] = {
    **{"BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q"},
    **{"FP16": "e", "FP32": "f", "FP64": "d"},
}
FLOATS = frozenset({"FP16", "FP32", "FP64"})
_LENGTH = struct.Struct("<I")
_NAN = float("nan")


class Refused(ValueError):
    """A tensor, or one element of it, that breaks a rule."""

    def __init__(self, rule: str, at: int | None = None, value: Any = None) -> None:
        """`at`: the element's position in the flat data; None when the tensor as a whole is meant."""
        super().__init__(rule)
        self.rule, self.at, self.value = rule, at, value


def unpack(datatype: str, raw: memoryview, count: int) -> list[Any]:
    """`count` elements from exactly the bytes that they need. Raises Refused."""
    if datatype == "BYTES":
        return _unpack_texts(raw, count)
    needed = count * struct.calcsize(f"<{FORMATS[datatype]}")
    if len(raw) != needed:
        raise Refused(f"{count} elements of {datatype} have {needed} bytes, not {len(raw)}")
    values = list(struct.unpack(f"<{count}{FORMATS[datatype]}", raw))
    return _without_nan(values) if datatype in FLOATS else values


def _unpack_texts(raw: memoryview, count: int) -> list[Any]:
    values: list[Any] = []
    at, end = 0, len(raw)
    while at < end:
        begin = at + _LENGTH.size
        at = begin + _LENGTH.unpack_from(raw, at)[0] if begin <= end else begin
        if at > end:
            raise Refused(f"Element {len(values)} is longer than the rest of the data")
        try:
            values.append(str(raw[begin:at], "utf-8"))
        except UnicodeDecodeError:
            raise Refused("Must be UTF-8", len(values)) from None
    return _counted(values, count)


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """The inverse of `unpack`. A missing float becomes NaN, a missing text an empty one; nothing else can be missing."""
    if datatype == "BYTES":
        texts = [(value or "").encode() for value in values]
        return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))
    return struct.pack(f"<{len(values)}{FORMATS[datatype]}", *(_with_nan(values) if datatype in FLOATS else values))


def from_json(datatype: str, data: list[Any], shape: Sequence[int]) -> list[Any]:
    """Flat values from flat or nested data. A number sent as FP32 becomes the nearest FP32, as it would in bytes. Raises Refused."""
    values = _flat(data, shape)
    due, words = _DUE.get(datatype, _A_NUMBER if datatype in FLOATS else _AN_INTEGER)
    if not due.issuperset(map(type, values)):
        at = first(values, lambda value: type(value) in due)
        raise Refused(f"Must be {words} in a tensor of {datatype}", at, values[at])
    if datatype in _DUE:
        return values
    given = _with_nan(values) if datatype in FLOATS else [0 if value is None else value for value in values]
    try:
        held = struct.unpack(f"<{len(given)}{FORMATS[datatype]}", struct.pack(f"<{len(given)}{FORMATS[datatype]}", *given))
    except (OverflowError, struct.error):
        at = first(given, lambda value: _fits(datatype, value))
        raise Refused(f"Must be within {datatype}", at, values[at]) from None
    return _without_nan(held) if datatype in FLOATS else values


_DUE = {"BYTES": (frozenset({str, NoneType}), "a string"), "BOOL": (frozenset({bool, NoneType}), "true or false")}
_A_NUMBER = (frozenset({int, float, NoneType}), "a number")
_AN_INTEGER = (frozenset({int, NoneType}), "an integer")


def _flat(data: list[Any], shape: Sequence[int]) -> list[Any]:
    values = data
    if values and isinstance(values[0], list):
        for size in shape[1:]:
            if any(not isinstance(part, list) or len(part) != size for part in values):
                raise Refused(f"Nested data must be lists of {size} each, as the shape says")
            values = [value for part in values for value in part]
    return _counted(values, prod(shape))


def _counted(values: list[Any], count: int) -> list[Any]:
    if len(values) != count:
        raise Refused(f"The shape says {count} elements, the data have {len(values)}")
    return values


def _fits(datatype: str, value: Any) -> bool:
    try:
        struct.pack(f"<{FORMATS[datatype]}", value)
    except (OverflowError, struct.error):
        return False
    return True


def first(values: Sequence[Any], good: Callable[[Any], bool]) -> int:
    """Position of the first value that is not."""
    return next(at for at, value in enumerate(values) if not good(value))


def _without_nan(values: Sequence[Any]) -> list[Any]:
    return [value if value == value else None for value in values]


def _with_nan(values: Sequence[Any]) -> list[Any]:
    return [_NAN if value is None else value for value in values]
